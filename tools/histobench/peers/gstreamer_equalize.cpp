// SPDX-License-Identifier: Apache-2.0
// The peer of histobench's suite "video": GStreamer takes RFC 4175 in, and OpenCV equalizes the luma of each frame
// where GStreamer's depayloader left it, on the thread that did so. What comes out is thrown away, or sent on.
//
//   histobench_gstreamer CPU FRAMES_FILE LAST_FRAME_FILE PIPELINE
//
// PIPELINE has a udpsrc called "in" and an element called "depay"; one called "end", a sink, keeps the last frame,
// which is written when SIGTERM comes. FRAMES_FILE is 8 bytes: how many frames there were, as it goes along.
#include <atomic>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <gst/gst.h>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <sched.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

struct Equalizer {
  std::uint64_t* frames = nullptr;
  int width = 0, height = 0;
  cv::Mat luma;
};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::exit(1);
}

GstPadProbeReturn equalize(GstPad* pad, GstPadProbeInfo* info, gpointer data) {
  auto& equalizer = *static_cast<Equalizer*>(data);
  if (equalizer.width == 0) {
    GstCaps* const caps = gst_pad_get_current_caps(pad);
    const GstStructure* const format = gst_caps_get_structure(caps, 0);
    gst_structure_get_int(format, "width", &equalizer.width);
    gst_structure_get_int(format, "height", &equalizer.height);
    gst_caps_unref(caps);
  }
  GstBuffer* const buffer = gst_buffer_make_writable(GST_PAD_PROBE_INFO_BUFFER(info));
  GST_PAD_PROBE_INFO_DATA(info) = buffer;
  GstMapInfo map;
  if (gst_buffer_map(buffer, &map, GST_MAP_READWRITE) == FALSE) fail("a frame cannot be mapped");
  cv::Mat frame(equalizer.height, equalizer.width, CV_8UC2, map.data);
  if (map.size < frame.total() * frame.elemSize()) fail("a frame is too short");
  cv::extractChannel(frame, equalizer.luma, 1);
  cv::equalizeHist(equalizer.luma, equalizer.luma);
  cv::insertChannel(equalizer.luma, frame, 1);
  gst_buffer_unmap(buffer, &map);
  std::atomic_ref(*equalizer.frames).fetch_add(1);
  return GST_PAD_PROBE_OK;
}

void write_last(GstElement* pipeline, const char* path) {
  GstElement* const end = gst_bin_get_by_name(GST_BIN(pipeline), "end");
  GstSample* sample = nullptr;
  g_object_get(end, "last-sample", &sample, nullptr);
  GstMapInfo map;
  if (sample == nullptr || gst_buffer_map(gst_sample_get_buffer(sample), &map, GST_MAP_READ) == FALSE) return;
  std::FILE* const file = std::fopen(path, "wb");
  if (file == nullptr || std::fwrite(map.data, 1, map.size, file) != map.size) fail("the last frame cannot be written");
  std::fclose(file);
}

/// As much room as histod's sockets have, whatever net.core.rmem_max is, where one may.
void widen(GstElement* pipeline) {
  GstElement* const in = gst_bin_get_by_name(GST_BIN(pipeline), "in");
  GSocket* socket = nullptr;
  g_object_get(in, "used-socket", &socket, nullptr);
  if (socket == nullptr) fail("no socket");
  const int bytes = 16 << 20;
  if (setsockopt(g_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
    setsockopt(g_socket_get_fd(socket), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
}

std::uint64_t* shared_number(const char* path) {
  const int fd = open(path, O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, sizeof(std::uint64_t)) != 0) fail("no file to count frames in");
  void* const at = mmap(nullptr, sizeof(std::uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED) fail("no memory to count frames in");
  return static_cast<std::uint64_t*>(at);
}

gboolean quit(gpointer loop) {
  g_main_loop_quit(static_cast<GMainLoop*>(loop));
  return G_SOURCE_REMOVE;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) fail("histobench starts this");
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  int cpu = 0;
  const auto [end, wrong] = std::from_chars(argv[1], argv[1] + std::strlen(argv[1]), cpu);
  if (wrong != std::errc{} || *end != 0 || cpu < 0 || cpu >= CPU_SETSIZE) fail("that is no CPU");
  CPU_SET(cpu, &cpus);
  if (sched_setaffinity(0, sizeof cpus, &cpus) != 0) fail("that CPU cannot be had");
  cv::setNumThreads(1);
  gst_init(nullptr, nullptr);
  GError* error = nullptr;
  GstElement* const pipeline = gst_parse_launch(argv[4], &error);
  if (pipeline == nullptr || error != nullptr) fail(error != nullptr ? error->message : "no pipeline");
  Equalizer equalizer{.frames = shared_number(argv[2]), .luma = {}};
  GstElement* const depay = gst_bin_get_by_name(GST_BIN(pipeline), "depay");
  GstPad* const pad = gst_element_get_static_pad(depay, "src");
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, equalize, &equalizer, nullptr);
  GMainLoop* const loop = g_main_loop_new(nullptr, FALSE);
  g_unix_signal_add(SIGTERM, quit, loop);
  if (gst_element_set_state(pipeline, GST_STATE_PLAYING) == GST_STATE_CHANGE_FAILURE)
    fail("the pipeline does not play");
  widen(pipeline);
  std::printf("%s\n", gst_version_string());
  std::fflush(stdout);
  g_main_loop_run(loop);
  write_last(pipeline, argv[3]);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  return 0;
}
