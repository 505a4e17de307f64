# SPDX-License-Identifier: Apache-2.0
# What a request and a job pass through between the network and the pixels.
foreach(backend ${HISTOD_BACKENDS})
  histod_suffix(${backend} suffix)
  set(folder ${CMAKE_CURRENT_LIST_DIR})
  histod_test(daemon_spine_test${suffix} BATCHED LABEL daemon LIBS histod_daemon${suffix} histod_image_files histod_test_naive
    SOURCES ${folder}/api_test.cpp ${folder}/cluster_test.cpp ${folder}/datasets_test.cpp ${folder}/early_decode_test.cpp ${folder}/engine_copies_faults_test.cpp ${folder}/engine_copies_test.cpp ${folder}/engine_disk_test.cpp ${folder}/engine_recovery_test.cpp
      ${folder}/engine_test.cpp ${folder}/events_api_test.cpp ${folder}/express_test.cpp ${folder}/file_reference_test.cpp ${folder}/growing_image_test.cpp ${folder}/lone_fleet_test.cpp ${folder}/mailbox_test.cpp ${folder}/memory_disk.cpp
      ${folder}/pipeline_memory_test.cpp ${folder}/pipeline_test.cpp ${folder}/query_test.cpp
      ${folder}/resources_test.cpp ${folder}/results_test.cpp)
  # What nodes ask each other, several of them in one program.
  histod_test(daemon_peers_test${suffix} BATCHED LABEL daemon LIBS histod_daemon${suffix} histod_test_naive SOURCES ${folder}/copies_test.cpp ${folder}/dataset_json_test.cpp
    ${folder}/fan_out_test.cpp ${folder}/http_peers_test.cpp ${folder}/key_search_test.cpp ${folder}/part_message_test.cpp ${folder}/peers_test.cpp ${folder}/spread_faults_test.cpp ${folder}/spread_test.cpp
    ${folder}/webhooks_test.cpp ${folder}/../support/scripted_server.cpp)
endforeach()
