// SPDX-License-Identifier: Apache-2.0
#include "tools/histobench/video_equalizers.hpp"

#include <chrono>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <sstream>
#include <thread>

#include <arpa/inet.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/histobench/failure.hpp"

namespace histod::bench {

namespace json = boost::json;

namespace {

constexpr const char* k_stream = "bench";
constexpr const char* k_dpdk_device = "net_af_packet0,iface={},blocksz=4096,framesz=2048,framecnt=8192";

std::string endpoint_of(const sockaddr_in& address) {
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
  return fmt::format("{}:{}", text, ntohs(address.sin_port));
}

/// Of the threads whose names begin so; the kernel's own workers for them among these.
double thread_seconds(pid_t pid, std::string_view name) {
  double ns = 0;
  std::error_code none;
  for (const auto& task : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid), none)) {
    const std::string comm = text_of(task.path() / "comm");
    if (!comm.starts_with(name) && !comm.starts_with("iou-")) continue;
    double run_ns = 0;
    std::istringstream(text_of(task.path() / "schedstat")) >> run_ns;
    ns += run_ns;
  }
  return ns / 1e9;
}

class VideoStream final : public VideoEqualizer {
 public:
  VideoStream(Daemon& daemon, bool dpdk, const VideoPlace& place, Size size, const sockaddr_in& target)
      : daemon_(daemon), client_(daemon.port(), daemon.authorization()), dpdk_(dpdk) {
    sockaddr_in local{};
    if (dpdk) {
      // The kernel sees the packets too, and would answer that nobody is there.
      local = kernels_socket_.bind(place.ip());
      const int least = 0;
      ::setsockopt(kernels_socket_.fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    }
    json::object config{{"listen", dpdk ? endpoint_of(local) : fmt::format("{}:0", place.ip())},
                        {"sampling", "YCbCr-4:2:2"},
                        {"depth", 8},
                        {"width", size.width},
                        {"height", size.height},
                        {"rule", "opencv"},
                        {"window", {{"frames", 1}}},
                        {"targets", {endpoint_of(target)}},
                        {"cpu", place.cpu},
                        {"preview", {{"per_second", 0}}}};
    if (dpdk) {
      config["backend"] = "dpdk";
      config["dpdk_port"] = fmt::format(fmt::runtime(k_dpdk_device), VideoCable::k_near_device);
    }
    const std::string body = json::serialize(config);
    const Reply reply = client_.put(fmt::format("/v1/streams/{}", k_stream), std::as_bytes(std::span(body)));
    if (reply.status / 100 != 2)
      throw Failure(fmt::format("the stream cannot be made: {} {:.300}", reply.status, reply.text()));
    const std::string listens(json::parse(reply.text()).at("local").as_string());
    address_.sin_family = AF_INET;
    ::inet_pton(AF_INET, place.ip(), &address_.sin_addr);
    address_.sin_port = htons(static_cast<std::uint16_t>(std::stoi(listens.substr(listens.rfind(':') + 1))));
  }
  ~VideoStream() override {
    try {
      client_.remove(fmt::format("/v1/streams/{}", k_stream));
    } catch (const Failure&) {  // the daemon's end says more
    }
  }

  sockaddr_in address() const override { return address_; }
  Counts counts(std::uint64_t) override {
    const json::value state = read();
    return {state.at("packets").at("received").to_number<std::uint64_t>(),
            state.at("frames").at("whole").to_number<std::uint64_t>(),
            thread_seconds(daemon_.pid(), fmt::format("hd-{}", k_stream))};
  }
  std::optional<double> busy_seconds_per_frame() override {
    if (!dpdk_) return std::nullopt;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(3);
    while (std::chrono::steady_clock::now() < deadline) {
      const json::value state = read();
      const auto frames = state.at("rate").at("frames_per_second").to_number<double>();
      if (frames > 0) return state.at("core").at("busy").to_number<double>() / frames;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    throw Failure("the stream does not say how busy it is");
  }
  std::optional<double> delay_ms(const char* percentile) override {
    const json::value delay = read().at("delay_seconds").at(percentile);
    if (delay.is_null()) return std::nullopt;
    return 1e3 * delay.to_number<double>();
  }

 private:
  json::value read() {
    const Reply reply = client_.get("/v1/streams");
    if (reply.status != 200) throw Failure(fmt::format("GET /v1/streams answers {}", reply.status));
    return json::parse(reply.text()).at("streams").at(0);
  }

  Daemon& daemon_;
  HttpClient client_;
  const bool dpdk_;
  UdpSocket kernels_socket_;
  sockaddr_in address_{};
};

std::string gstreamer_program() {
  std::error_code none;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", none).parent_path() / "histobench_gstreamer";
  return ::access(path.c_str(), X_OK) == 0 ? path.string() : "";
}

bool has_element(const std::string& name) { return !first_line_of({"gst-inspect-1.0", name}).starts_with("No such"); }

/// What the pipeline ends with.
std::string end_of(std::size_t packet_octets, const sockaddr_in* target) {
  if (target == nullptr) return "fakesink name=end enable-last-sample=true";
  const std::string to = endpoint_of(*target);
  const std::size_t colon = to.find(':');
  return fmt::format("rtpvrawpay mtu={} ! udpsink host={} port={} sync=false async=false enable-last-sample=false",
                     packet_octets, to.substr(0, colon), to.substr(colon + 1));
}

class VideoGstreamer final : public VideoEqualizer {
 public:
  VideoGstreamer(const VideoPlace& place, Size size, std::size_t packet_octets, const sockaddr_in* target)
      : size_(size), keeps_last_(target == nullptr) {
    {
      const UdpSocket free;
      address_ = free.bind(place.ip());
    }
    const std::string pipeline = fmt::format(
        "udpsrc name=in address={} port={} retrieve-sender-address=false caps=\"application/x-rtp, media=video, "
        "payload=96, clock-rate=90000, encoding-name=RAW, sampling=YCbCr-4:2:2, depth=(string)8, width=(string){}, "
        "height=(string){}, colorimetry=BT709-2\" ! rtpvrawdepay name=depay ! {}",
        place.ip(), ntohs(address_.sin_port), size.width, size.height, end_of(packet_octets, target));
    process_ = std::make_unique<Process>(Command{.words = {gstreamer_program(), std::to_string(place.cpu),
                                                           folder_.file("frames"), folder_.file("last"), pipeline},
                                                 .environment = {},
                                                 .output_path = folder_.file("log")});
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    // Its registry of plug-ins is made first, where there is none.
    while (!text_of(folder_.file("log")).contains("GStreamer 1") || !listens()) {
      if (!process_->running() || std::chrono::steady_clock::now() > deadline)
        throw Failure("GStreamer does not play: " + text_of(folder_.file("log")).substr(0, 400));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  sockaddr_in address() const override { return address_; }
  Counts counts(std::uint64_t sent) override {
    std::uint64_t frames = 0;
    const std::string bytes = text_of(folder_.file("frames"));
    if (bytes.size() == sizeof frames) std::memcpy(&frames, bytes.data(), sizeof frames);
    clockid_t clock{};
    timespec cpu{};
    if (::clock_getcpuclockid(process_->pid(), &clock) != 0 || ::clock_gettime(clock, &cpu) != 0)
      throw Failure("GStreamer has ended: " + text_of(folder_.file("log")).substr(0, 400));
    return {sent - dropped(), frames, static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) / 1e9};
  }
  cv::Mat stop_and_take_last() override {
    if (process_->stop(10) != 0) throw Failure("GStreamer: " + text_of(folder_.file("log")).substr(0, 400));
    cv::Mat last(size_.height, size_.width, CV_8UC2, cv::Scalar::all(0));
    const std::string bytes = text_of(folder_.file("last"));
    if (!keeps_last_ || bytes.size() != last.total() * last.elemSize()) return {};
    std::memcpy(last.data, bytes.data(), bytes.size());
    return last;
  }

 private:
  /// The line of its socket in the kernel's table; empty: there is none.
  std::string socket_line() const {
    std::istringstream table(text_of(fmt::format("/proc/{}/net/udp", process_->pid())));
    const std::string mark = fmt::format(":{:04X} ", ntohs(address_.sin_port));
    std::string line;
    while (std::getline(table, line))
      if (const auto at = line.find(mark); at != std::string::npos && at < 20) return line;
    return {};
  }
  bool listens() const { return !socket_line().empty(); }
  /// By the kernel, for its socket's queue was full.
  std::uint64_t dropped() const {
    std::string line = socket_line();
    while (!line.empty() && line.back() == ' ') line.pop_back();
    if (line.empty()) throw Failure("GStreamer has closed its socket");
    return std::stoull(line.substr(line.rfind(' ') + 1));
  }

  const Size size_;
  const bool keeps_last_;
  TemporaryFolder folder_;
  sockaddr_in address_{};
  std::unique_ptr<Process> process_;
};

}  // namespace

std::unique_ptr<VideoEqualizer> video_stream(Daemon& daemon, bool dpdk, const VideoPlace& place, Size size,
                                             const sockaddr_in& target) {
  return std::make_unique<VideoStream>(daemon, dpdk, place, size, target);
}

std::unique_ptr<VideoEqualizer> video_gstreamer(const VideoPlace& place, Size size, std::size_t packet_octets,
                                                const sockaddr_in* target) {
  return std::make_unique<VideoGstreamer>(place, size, packet_octets, target);
}

std::string gstreamer_missing() {
  if (gstreamer_program().empty()) return "build with libgstreamer1.0-dev";
  if (find_program("gst-inspect-1.0").empty()) return "install gstreamer1.0-tools";
  for (const char* element : {"udpsrc", "rtpvrawdepay", "rtpvrawpay", "udpsink"})
    if (!has_element(element)) return "install gstreamer1.0-plugins-good";
  return {};
}

std::string gstreamer_version() {
  const std::string line = first_line_of({"gst-inspect-1.0", "--version"});
  return line.substr(line.rfind(' ') + 1);
}

}  // namespace histod::bench
