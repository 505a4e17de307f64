// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "net/rtp/sdp.hpp"
#include "tests/net/rtp_naive.hpp"

namespace histod::test {
namespace {

using net::rtp::Errc;
using net::rtp::FrameRate;
using net::rtp::LineNumbering;
using net::rtp::parse_sdp;
using net::rtp::Sampling;
using net::rtp::StreamDescription;

const std::string k_good =
    "v=0\r\n"
    "o=- 1 1 IN IP4 192.0.2.1\r\n"
    "s=camera\r\n"
    "c=IN IP4 239.1.2.3/32\r\n"
    "t=0 0\r\n"
    "m=video 5004 RTP/AVP 112\r\n"
    "a=rtpmap:112 raw/90000\r\n"
    "a=fmtp:112 sampling=YCbCr-4:2:2; width=1920; height=1080; depth=10; colorimetry=BT709-2; interlace\r\n";

StreamDescription good() {
  return {.session_name = "camera",
          .address = "239.1.2.3",
          .ipv6 = false,
          .ttl = 32,
          .port = 5004,
          .payload_type = 112,
          .format = {.sampling = Sampling::ycbcr_422,
                     .depth = 10,
                     .width = 1920,
                     .height = 1080,
                     .interlaced = true,
                     .line_numbering = LineNumbering::frame},
          .colorimetry = "BT709-2",
          .top_field_first = false,
          .frame_rate = std::nullopt};
}

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const auto at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return text.replace(at, what.size(), with);
}

net::rtp::Error error_of(const std::string& text) {
  const auto parsed = parse_sdp(text);
  EXPECT_FALSE(parsed.has_value()) << text;
  return parsed ? net::rtp::Error{} : parsed.error();
}

TEST(RtpSdp, ReadsWhatRfc4175Needs) {
  const auto parsed = parse_sdp(k_good);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().detail;
  EXPECT_EQ(*parsed, good());
}

TEST(RtpSdp, IgnoresWhatItDoesNotKnow) {
  const std::string text =
      "v=0\no=- 1 1 IN IP6 ::1\ns=-\ni=a camera\nu=http://example.org\nb=AS:100\nt=0 0\na=tool:other\n"
      "a=source-filter: incl IN IP4 239.1.2.3 192.0.2.1\na=group:DUP a b\n"
      "m=audio 5002 RTP/AVP 97\na=rtpmap:97 L24/48000/2\nc=IN IP4 239.9.9.9\n"
      "m=video 5006 RTP/AVP 98\na=rtpmap:98 H264/90000\n"
      "m=video 5004/2 RTP/AVPF 95 96 97\nc=IN IP6 ff15::101\na=mid:a\na=recvonly\na=framerate:29.97\n"
      "a=rtpmap:95 H265/90000\na=rtpmap:96 RAW/90000\na=fmtp:95 width=7\n"
      "a=fmtp:96 height=4;width=8;sampling=RGBA;TCS=SDR; PAR=1:1;depth=16 ;MAXUDP=1460;top-field-first;\n"
      "m=video 5008 RTP/AVP 96\na=rtpmap:96 raw/90000\n\n";
  const auto parsed = parse_sdp(text);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().detail;
  EXPECT_EQ(*parsed, (StreamDescription{.session_name = "",
                                        .address = "ff15::101",
                                        .ipv6 = true,
                                        .ttl = 0,
                                        .port = 5004,
                                        .payload_type = 96,
                                        .format = {.sampling = Sampling::rgba,
                                                   .depth = 16,
                                                   .width = 8,
                                                   .height = 4,
                                                   .interlaced = false,
                                                   .line_numbering = LineNumbering::frame},
                                        .colorimetry = "",
                                        .top_field_first = true,
                                        .frame_rate = FrameRate{2997, 100}}));
}

TEST(RtpSdp, LinesOfSt2110AreNumberedByField) {
  const auto parsed = parse_sdp(replaced(
      k_good, "interlace", "interlace; exactframerate=30000/1001; PM=2110GPM; SSN=ST2110-20:2017; TP=2110TPN"));
  ASSERT_TRUE(parsed.has_value()) << parsed.error().detail;
  EXPECT_EQ(parsed->format.line_numbering, LineNumbering::field);
  EXPECT_EQ(parsed->frame_rate, (FrameRate{30000, 1001}));
}

TEST(RtpSdp, SaysWhatIsWrongWithValueAndLimit) {
  struct Case {
    std::string what, with, detail;
    Errc code;
  };
  const std::vector<Case> cases{
      {"v=0", "v=1", "line 1: is not \"v=0\"", Errc::malformed},
      {"s=camera", "scamera", "line 3: \"scamera\" does not begin with a type that SDP has and \"=\"", Errc::malformed},
      {"s=camera", "x=camera", "line 3: \"x=camera\" does not begin with a type that SDP has and \"=\"",
       Errc::malformed},
      {"s=camera", "s=ca\x01mera", "line 3: has a control character", Errc::malformed},
      {"raw/90000", "raw/48000", "no m=video line with a payload type that a=rtpmap maps to raw/90000", Errc::missing},
      {"RTP/AVP", "RTP/SAVP", "line 6: protocol \"RTP/SAVP\" is neither RTP/AVP nor RTP/AVPF", Errc::unsupported},
      {"5004", "70000", "line 6: port \"70000\" is not 0 to 65535", Errc::out_of_range},
      {"IN IP4 239", "IN IPX 239", "line 4: the network is neither \"IN IP4\" nor \"IN IP6\"", Errc::unsupported},
      {"239.1.2.3", "239.1.2.3;x", "line 4: \"239.1.2.3;x\" is no address", Errc::malformed},
      {"/32", "/256", "line 4: TTL \"256\" is not 0 to 255", Errc::out_of_range},
      {"a=fmtp:112", "a=fmtp:113", "line 6: payload type 112 has no a=fmtp", Errc::missing},
      {"sampling=YCbCr-4:2:2; ", "", "line 8: has no sampling", Errc::missing},
      {"YCbCr-4:2:2", "YCbCr-4:1:1", "line 8: sampling \"YCbCr-4:1:1\" is not YCbCr-4:2:2, YCbCr-4:2:0, RGB or RGBA",
       Errc::unsupported},
      {"width=1920; ", "", "line 8: has no width", Errc::missing},
      {"width=1920", "width=32768", "line 8: width \"32768\" is not 1 to 32767", Errc::out_of_range},
      {"width=1920", "width=-1", "line 8: width \"-1\" is not 1 to 32767", Errc::out_of_range},
      {"width=1920", "width=99999999999999999999999999999999999999",
       "line 8: width \"99999999999999999999999999999999...\" is not 1 to 32767", Errc::out_of_range},
      {"height=1080", "height=0", "line 8: height \"0\" is not 1 to 32767", Errc::out_of_range},
      {"height=1080", "height=1", "line 8: interlaced video of 1 line has no second field", Errc::out_of_range},
      {"depth=10; ", "", "line 8: has no depth", Errc::missing},
      {"depth=10", "depth=16f", "line 8: depth \"16f\" is not 8, 10, 12 or 16", Errc::unsupported},
      {"depth=10", "depth=9", "line 8: depth \"9\" is not 8, 10, 12 or 16", Errc::unsupported},
      {"depth=10", "depth=10; Width=7", "line 8: has width twice", Errc::malformed},
      {"BT709-2", "BT 709", "line 8: colorimetry \"BT 709\" is no name", Errc::malformed},
      {"interlace", "exactframerate=0", "line 8: \"0\" is no frame rate", Errc::malformed},
      {"interlace", "exactframerate=25/0", "line 8: \"25/0\" is no frame rate", Errc::malformed},
      {"interlace", "exactframerate=1e3", "line 8: \"1e3\" is no frame rate", Errc::malformed},
  };
  for (const Case& one : cases) {
    const auto error = error_of(replaced(k_good, one.what, one.with));
    EXPECT_EQ(error.detail, one.detail);
    EXPECT_EQ(error.code, one.code) << one.detail;
  }
  const auto width = error_of(replaced(k_good, "width=1920", "width=40000"));
  EXPECT_EQ(width.value, 40000u);
  EXPECT_EQ(width.limit, 32767u);
}

TEST(RtpSdp, HasLimits) {
  EXPECT_EQ(error_of(k_good + std::string(17'000, 'x')).code, Errc::too_large);
  EXPECT_EQ(error_of(k_good + std::string(17'000, 'x')).limit, 16u * 1024);
  std::string many;
  for (int i = 0; i < 300; ++i) many += "a=x\n";
  EXPECT_EQ(error_of(k_good + many).detail, "more than 256 lines");
  EXPECT_EQ(error_of(k_good + "a=" + std::string(2047, 'x')).detail, "line 9: 2049 octets, the limit is 2048");
  EXPECT_TRUE(parse_sdp(k_good + "a=" + std::string(2046, 'x')).has_value());
  EXPECT_EQ(error_of("").code, Errc::malformed);
  EXPECT_EQ(error_of("\n\n").code, Errc::malformed);
}

TEST(RtpSdp, EveryPrefixIsAnErrorOrADescription) {
  for (std::size_t size = 0; size < k_good.size(); ++size) {
    if (const auto parsed = parse_sdp(std::string_view(k_good).substr(0, size)); !parsed) {
      EXPECT_FALSE(parsed.error().detail.empty());
    }
  }
}

TEST(RtpSdp, WritesWhatItReads) {
  for (const NaivePgroup& pgroup : naive_pgroups()) {
    for (const bool interlaced : {false, true}) {
      StreamDescription stream = good();
      stream.format.sampling = net::rtp::sampling_of(pgroup.sampling).value();
      stream.format.depth = pgroup.depth;
      stream.format.interlaced = interlaced;
      stream.top_field_first = interlaced;
      stream.session_name = interlaced ? "two fields" : "";
      if (pgroup.depth == 8) stream.format.line_numbering = LineNumbering::field;
      if (pgroup.depth != 12) stream.frame_rate = FrameRate{25, pgroup.depth == 16 ? 2u : 1u};
      if (pgroup.depth == 12) {
        stream.address = "2001:db8::1";
        stream.ipv6 = true;
        stream.ttl = 0;
      }
      const auto text = net::rtp::write_sdp(stream, {.address = "192.0.2.7", .session_id = 5});
      ASSERT_TRUE(text.has_value()) << text.error().detail;
      const auto again = parse_sdp(*text);
      ASSERT_TRUE(again.has_value()) << *text << again.error().detail;
      EXPECT_EQ(*again, stream) << *text;
    }
  }
  EXPECT_EQ(net::rtp::write_sdp(good(), {.address = "192.0.2.1", .session_id = 1, .session_version = 1}), k_good);
}

TEST(RtpSdp, WritesNoLinesThatItWasNotAskedFor) {
  const auto with = [](auto change) {
    StreamDescription stream = good();
    change(stream);
    const auto text = net::rtp::write_sdp(stream);
    return text ? Errc{} : text.error().code;
  };
  EXPECT_EQ(with([](auto& stream) { stream.session_name = "a\r\nm=video 1 RTP/AVP 96"; }), Errc::malformed);
  EXPECT_EQ(with([](auto& stream) { stream.address = "239.1.2.3\r\na=x"; }), Errc::malformed);
  EXPECT_EQ(with([](auto& stream) { stream.address = ""; }), Errc::malformed);
  EXPECT_EQ(with([](auto& stream) { stream.colorimetry = "BT709; width=1"; }), Errc::malformed);
  EXPECT_EQ(with([](auto& stream) { stream.colorimetry = ""; }), Errc::malformed);
  EXPECT_EQ(with([](auto& stream) { stream.payload_type = 128; }), Errc::out_of_range);
  EXPECT_EQ(with([](auto& stream) { stream.format.depth = 14; }), Errc::unsupported);
  EXPECT_EQ(with([](auto& stream) { stream.ipv6 = true; }), Errc::malformed);
  EXPECT_EQ(with([](auto& stream) { stream.frame_rate = FrameRate{0, 1}; }), Errc::out_of_range);
  EXPECT_FALSE(net::rtp::write_sdp(good(), {.address = "a b"}).has_value());
}

}  // namespace
}  // namespace histod::test
