# SPDX-License-Identifier: Apache-2.0
# The part of daemon/ that knows no Asio: built once for both back-ends.
pkg_check_modules(TOMLPLUSPLUS REQUIRED IMPORTED_TARGET tomlplusplus)
# It says OPENSSL_SUPPRESS_DEPRECATED before anybody includes OpenSSL.
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/jobs/digest.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
# Beside a file that knows the one FleetTask there is, the compiler would call that by name, and its library is another.
set_source_files_properties(${CMAKE_CURRENT_LIST_DIR}/fleet_node.cpp PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
add_library(histod_daemon_base STATIC
  ${CMAKE_CURRENT_LIST_DIR}/api/auth.cpp
  ${CMAKE_CURRENT_LIST_DIR}/api/event_rates.cpp
  ${CMAKE_CURRENT_LIST_DIR}/api/problem.cpp
  ${CMAKE_CURRENT_LIST_DIR}/api/tickets.cpp
  ${CMAKE_CURRENT_LIST_DIR}/event_message.cpp
  ${CMAKE_CURRENT_LIST_DIR}/event_pump.cpp
  ${CMAKE_CURRENT_LIST_DIR}/executor.cpp
  ${CMAKE_CURRENT_LIST_DIR}/file_root.cpp
  ${CMAKE_CURRENT_LIST_DIR}/fleet_node.cpp
  ${CMAKE_CURRENT_LIST_DIR}/fleet_options.cpp
  ${CMAKE_CURRENT_LIST_DIR}/jobs/dataset_record.cpp
  ${CMAKE_CURRENT_LIST_DIR}/jobs/digest.cpp
  ${CMAKE_CURRENT_LIST_DIR}/jobs/posix_disk.cpp
  ${CMAKE_CURRENT_LIST_DIR}/jobs/record.cpp
  ${CMAKE_CURRENT_LIST_DIR}/jobs/record_text.cpp
  ${CMAKE_CURRENT_LIST_DIR}/jobs/shelf.cpp
  ${CMAKE_CURRENT_LIST_DIR}/jobs/spool.cpp
  ${CMAKE_CURRENT_LIST_DIR}/jobs/ulid.cpp
  ${CMAKE_CURRENT_LIST_DIR}/log.cpp
  ${CMAKE_CURRENT_LIST_DIR}/metrics.cpp
  ${CMAKE_CURRENT_LIST_DIR}/node_identity.cpp
  ${CMAKE_CURRENT_LIST_DIR}/options.cpp
  ${CMAKE_CURRENT_LIST_DIR}/options_streams.cpp
  ${CMAKE_CURRENT_LIST_DIR}/options_table.cpp
  ${CMAKE_CURRENT_LIST_DIR}/preflight.cpp
  ${CMAKE_CURRENT_LIST_DIR}/process_metrics.cpp
  ${CMAKE_CURRENT_LIST_DIR}/reexec.cpp
  ${CMAKE_CURRENT_LIST_DIR}/shared_files.cpp
  ${CMAKE_CURRENT_LIST_DIR}/signals.cpp
  ${CMAKE_CURRENT_LIST_DIR}/speeds.cpp
  ${CMAKE_CURRENT_LIST_DIR}/streams/config.cpp
  ${CMAKE_CURRENT_LIST_DIR}/streams/config_reader.cpp
  ${CMAKE_CURRENT_LIST_DIR}/streams/dpdk_devices.cpp
  ${CMAKE_CURRENT_LIST_DIR}/systemd.cpp
  ${CMAKE_CURRENT_LIST_DIR}/tables_json.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/bus.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/event_log.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/event_ring.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/event_writer.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/fleet_events.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/flood_gate.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/sources.cpp
  ${CMAKE_CURRENT_LIST_DIR}/topology.cpp
  ${CMAKE_CURRENT_LIST_DIR}/trace_context.cpp)
target_link_libraries(histod_daemon_base PUBLIC histod_telemetry histod_compute histod_rtp histod_net_udp histod_control PkgConfig::FMT Boost::json OpenSSL::SSL OpenSSL::Crypto
  PRIVATE PkgConfig::TOMLPLUSPLUS PkgConfig::HWLOC PkgConfig::LIBSYSTEMD)
target_compile_definitions(histod_daemon_base PUBLIC HISTOD_VERSION="${PROJECT_VERSION}")
# Events and what other tools say, as values: histoctl has it too.
add_library(histod_telemetry STATIC
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/cloudevents_http.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/event.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/flux_signature.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/normalize_ansible.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/normalize_argocd.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/normalize_flux.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/normalize_k8s.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/normalize_kubeadm.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/normalize_systemd.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/normalize_terraform.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/normalize_tinkerbell.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/normalizer.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/redact.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/redact_json.cpp
  ${CMAKE_CURRENT_LIST_DIR}/telemetry/tool_stream.cpp)
target_link_libraries(histod_telemetry PUBLIC PkgConfig::FMT Boost::json OpenSSL::Crypto)
# Jobs and datasets, of this node and of the fleet: without Asio too, but results.cpp knows net/'s messages, whose code is in
# the library of either back-end.
add_library(histod_daemon_jobs STATIC
  ${CMAKE_CURRENT_LIST_DIR}/api/results.cpp
  ${CMAKE_CURRENT_LIST_DIR}/announcer.cpp
  ${CMAKE_CURRENT_LIST_DIR}/coordinator.cpp
  ${CMAKE_CURRENT_LIST_DIR}/coordinator_announce.cpp
  ${CMAKE_CURRENT_LIST_DIR}/coordinator_gather.cpp
  ${CMAKE_CURRENT_LIST_DIR}/coordinator_parts.cpp
  ${CMAKE_CURRENT_LIST_DIR}/custody.cpp
  ${CMAKE_CURRENT_LIST_DIR}/jobs/datasets.cpp
  ${CMAKE_CURRENT_LIST_DIR}/jobs/engine.cpp
  ${CMAKE_CURRENT_LIST_DIR}/jobs/engine_copies.cpp
  ${CMAKE_CURRENT_LIST_DIR}/jobs/engine_datasets.cpp
  ${CMAKE_CURRENT_LIST_DIR}/jobs/engine_end.cpp
  ${CMAKE_CURRENT_LIST_DIR}/jobs/finalize.cpp
  ${CMAKE_CURRENT_LIST_DIR}/mailbox.cpp
  ${CMAKE_CURRENT_LIST_DIR}/webhooks.cpp)
target_link_libraries(histod_daemon_jobs PUBLIC histod_daemon_base)
# Live video: the same for both back-ends; net/copy.hpp is of either one's library.
add_library(histod_daemon_streams STATIC
  ${CMAKE_CURRENT_LIST_DIR}/streams/further_targets.cpp
  ${CMAKE_CURRENT_LIST_DIR}/streams/geometry_watch.cpp
  ${CMAKE_CURRENT_LIST_DIR}/streams/loop.cpp
  ${CMAKE_CURRENT_LIST_DIR}/streams/note_events.cpp
  ${CMAKE_CURRENT_LIST_DIR}/streams/port.cpp
  ${CMAKE_CURRENT_LIST_DIR}/streams/preview.cpp
  ${CMAKE_CURRENT_LIST_DIR}/streams/processor.cpp
  ${CMAKE_CURRENT_LIST_DIR}/streams/state_json.cpp
  ${CMAKE_CURRENT_LIST_DIR}/streams/stream.cpp
  ${CMAKE_CURRENT_LIST_DIR}/streams/streams.cpp)
target_link_libraries(histod_daemon_streams PUBLIC histod_daemon_jobs histod_daemon_base histod_net_dpdk histod_net_udp histod_rtp histod_compute)
