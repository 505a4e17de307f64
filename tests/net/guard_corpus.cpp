// SPDX-License-Identifier: Apache-2.0
#include "tests/net/guard_corpus.hpp"

#include <string_view>

namespace histod::test {

namespace {

using namespace std::string_literals;

const std::string k_host = "Host: test\r\n";
const std::string k_hidden = "GET /smuggled HTTP/1.1\r\nHost: test\r\n\r\n";

std::string post_with(const std::string& fields, const std::string& body) {
  return "POST /echo HTTP/1.1\r\n" + k_host + fields + "\r\n" + body;
}

std::string get_with(const std::string& fields) { return "GET /hello HTTP/1.1\r\n" + k_host + fields + "\r\n"; }

std::string line(const std::string& request_line) { return request_line + "\r\n" + k_host + "\r\n"; }

std::string chunked_with(const std::string& body) { return post_with("Transfer-Encoding: chunked\r\n", body); }

std::string length_with(const std::string& value) { return post_with("Content-Length:" + value + "\r\n", "hello"); }

std::string encoding_with(const std::string& value) {
  return post_with("Transfer-Encoding:" + value + "\r\n", "0\r\n\r\n" + k_hidden);
}

std::string many_fields(int count) {
  std::string fields;
  for (int i = 0; i < count; ++i) fields += "X-" + std::to_string(i) + ": y\r\n";
  return fields;
}

void add_lengths(std::vector<GuardCase>& out) {
  const std::string size = "Content-Length: " + std::to_string(k_hidden.size() + 5) + "\r\n";
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  out.push_back({"length before encoding", post_with(size + chunked, "0\r\n\r\n" + k_hidden)});
  out.push_back({"encoding before length", post_with(chunked + size, "0\r\n\r\n" + k_hidden)});
  out.push_back({"zero length and encoding", post_with("Content-Length: 0\r\n" + chunked, "0\r\n\r\n")});
  out.push_back({"equal lengths", post_with("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")});
  out.push_back({"unequal lengths", post_with("Content-Length: 5\r\nContent-Length: 0\r\n", "hello")});
  out.push_back({"unequal lengths reversed", post_with("Content-Length: 0\r\nContent-Length: 5\r\n", "hello")});
  out.push_back({"lengths in other case", post_with("content-length: 5\r\nCONTENT-LENGTH: 5\r\n", "hello")});
  out.push_back({"list of equal lengths", length_with(" 5, 5")});
  out.push_back({"list of unequal lengths", length_with(" 5, 0")});
  out.push_back({"plus before length", length_with(" +5")});
  out.push_back({"minus before length", length_with(" -5")});
  out.push_back({"hexadecimal length", length_with(" 0x5")});
  out.push_back({"length with fraction", length_with(" 5.0")});
  out.push_back({"length with exponent", length_with(" 5e0")});
  out.push_back({"length with space inside", length_with(" 5 5")});
  out.push_back({"length with semicolon", length_with(" 5;")});
  out.push_back({"quoted length", length_with(" \"5\"")});
  out.push_back({"empty length", length_with("")});
  out.push_back({"blank length", length_with("   ")});
  out.push_back({"length beyond 64 bits", length_with(" 18446744073709551621")});
  out.push_back({"length beyond 63 bits", length_with(" 9223372036854775808")});
  out.push_back({"length of 100 digits", length_with(" " + std::string(100, '9'))});
  out.push_back({"vertical tab before length", length_with(" \v5")});
  out.push_back({"NUL behind length", length_with(" 5\0"s)});
  out.push_back({"no-break space before length", length_with(" \xa0"
                                                             "5")});
}

void add_encodings(std::vector<GuardCase>& out) {
  out.push_back({"identity", encoding_with(" identity")});
  out.push_back({"gzip then chunked", encoding_with(" gzip, chunked")});
  out.push_back({"chunked then identity", encoding_with(" chunked, identity")});
  out.push_back({"chunked twice in a list", encoding_with(" chunked, chunked")});
  out.push_back({"prefix of chunked", encoding_with(" xchunked")});
  out.push_back({"suffix of chunked", encoding_with(" chunkedx")});
  out.push_back({"chunked with parameter", encoding_with(" chunked;q=1")});
  out.push_back({"quoted chunked", encoding_with(" \"chunked\"")});
  out.push_back({"capital Chunked", encoding_with(" Chunked")});
  out.push_back({"comma before chunked", encoding_with(" ,chunked")});
  out.push_back({"empty encoding", encoding_with("")});
  out.push_back({"vertical tab before chunked", encoding_with(" \vchunked")});
  out.push_back({"form feed behind chunked", encoding_with(" chunked\f")});
  out.push_back({"NUL behind chunked", encoding_with(" chunked\0"s)});
  out.push_back(
      {"two encodings", post_with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")});
  out.push_back({"chunked and identity",
                 post_with("Transfer-Encoding: chunked\r\ntransfer-encoding: identity\r\n", "0\r\n\r\n")});
  out.push_back(
      {"encoding in HTTP/1.0", "POST /echo HTTP/1.0\r\n" + k_host + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"});
  out.push_back(
      {"encoding in HTTP/1.0 with keep-alive",
       "POST /echo HTTP/1.0\r\n" + k_host + "Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"});
}

void add_fields(std::vector<GuardCase>& out) {
  const std::string body = "0\r\n\r\n";
  out.push_back({"space before colon of encoding", post_with("Transfer-Encoding : chunked\r\n", body)});
  out.push_back({"tab before colon of encoding", post_with("Transfer-Encoding\t: chunked\r\n", body)});
  out.push_back({"space before colon of length", post_with("Content-Length : 5\r\n", "hello")});
  out.push_back({"folded encoding", post_with("Transfer-Encoding:\r\n chunked\r\n", body)});
  out.push_back({"folded with tab", post_with("Transfer-Encoding:\r\n\tchunked\r\n", body)});
  out.push_back({"folded other field", get_with("X: a\r\n b\r\n")});
  out.push_back({"indented first field", "GET /hello HTTP/1.1\r\n " + k_host + "\r\n"});
  out.push_back({"line of one space", get_with(" \r\n")});
  out.push_back({"NUL in a name", post_with("Content-Length\0: 5\r\n"s, "hello")});
  out.push_back({"NUL in a value", get_with("X: a\0b\r\n"s)});
  out.push_back({"control character in a value", get_with("X: a\x01"s + "b\r\n")});
  out.push_back({"DEL in a value", get_with("X: a\x7f"s + "b\r\n")});
  out.push_back({"bare line feeds", "GET /hello HTTP/1.1\nHost: test\n\n"});
  out.push_back({"one bare line feed", post_with("X: y\nTransfer-Encoding: chunked\r\n", body)});
  out.push_back({"bare line feed before the empty line", "GET /hello HTTP/1.1\r\nHost: test\n\r\n"});
  out.push_back({"bare carriage return", post_with("X: y\rTransfer-Encoding: chunked\r\n", body)});
  out.push_back({"carriage return twice", get_with("X: y\r\r\n")});
  out.push_back({"field without colon", get_with("nonsense\r\n")});
  out.push_back({"empty name", get_with(": value\r\n")});
  out.push_back({"space in a name", post_with("Content Length: 5\r\n", "hello")});
  out.push_back({"bracket in a name", post_with("Content-Length(x): 5\r\n", "hello")});
  out.push_back({"8-bit character in a name", get_with("X\xe9: y\r\n")});
  out.push_back({"two hosts", get_with("Host: other\r\n")});
  out.push_back({"two equal hosts", get_with(k_host)});
  out.push_back({"no host", "GET /hello HTTP/1.1\r\nX: y\r\n\r\n"});
  out.push_back({"empty host", "GET /hello HTTP/1.1\r\nHost:\r\n\r\n"});
  out.push_back({"list of hosts", "GET /hello HTTP/1.1\r\nHost: a, b\r\n\r\n"});
  out.push_back({"host with path", "GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n"});
  out.push_back({"host with user", "GET /hello HTTP/1.1\r\nHost: a@b\r\n\r\n"});
  out.push_back({"101 fields", get_with(many_fields(100)), 431});
  out.push_back({"17 KiB of header", get_with("X: " + std::string(17 * 1024, 'a') + "\r\n"), 431});
  out.push_back({"unknown expectation", get_with("Expect: 200-ok\r\n"), 417});
}

void add_request_lines(std::vector<GuardCase>& out) {
  out.push_back({"version 1.2", line("GET /hello HTTP/1.2")});
  out.push_back({"version 2.0", line("GET /hello HTTP/2.0")});
  out.push_back({"version 11", line("GET /hello HTTP/11")});
  out.push_back({"version 01.1", line("GET /hello HTTP/01.1")});
  out.push_back({"no version", line("GET /hello")});
  out.push_back({"lower-case version", line("GET /hello http/1.1")});
  out.push_back({"space behind the version", line("GET /hello HTTP/1.1 ")});
  out.push_back({"two versions", line("GET /hello HTTP/1.1 HTTP/1.1")});
  out.push_back({"two spaces", line("GET  /hello HTTP/1.1")});
  out.push_back({"tabs for spaces", line("GET\t/hello\tHTTP/1.1")});
  out.push_back({"bracket in the method", line("GE(T /hello HTTP/1.1")});
  out.push_back({"colon in the method", line("GET: /hello HTTP/1.1")});
  out.push_back({"space before the method", line(" GET /hello HTTP/1.1")});
  out.push_back({"method of 40 characters", line(std::string(40, 'A') + " /hello HTTP/1.1")});
  out.push_back({"empty line before the request", "\r\n" + get_with("")});
  out.push_back({"byte order mark before the request", "\xef\xbb\xbf" + get_with("")});
  out.push_back({"control character in the target", line("GET /he\x01llo HTTP/1.1")});
  out.push_back({"8-bit character in the target", line("GET /h\xe9llo HTTP/1.1")});
  out.push_back({"fragment in the target", line("GET /hello#x HTTP/1.1")});
  out.push_back({"backslash in the path", line("GET /he\\llo HTTP/1.1")});
  out.push_back({"broken percent-encoding", line("GET /he%2 HTTP/1.1")});
  out.push_back({"percent-encoding of no number", line("GET /he%zzllo HTTP/1.1")});
  out.push_back({"target without slash", line("GET hello HTTP/1.1")});
  out.push_back({"star for GET", line("GET * HTTP/1.1")});
  out.push_back({"authority form", line("CONNECT test:80 HTTP/1.1")});
  out.push_back({"other scheme", line("GET ftp://test/hello HTTP/1.1")});
  out.push_back({"absolute form of another host", line("GET http://other/hello HTTP/1.1")});
  out.push_back({"absolute form without host", line("GET http:///hello HTTP/1.1")});
  out.push_back({"9 KiB of target", line("GET /" + std::string(9 * 1024, 'a') + " HTTP/1.1"), 414});
  out.push_back({"start of TLS", "\x16\x03\x01\x02\x01\x01\xfc\x03\x03" + std::string(64, 'r')});
  out.push_back({"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"});
}

void add_chunks(std::vector<GuardCase>& out) {
  out.push_back({"0x before chunk size", chunked_with("0x5\r\nhello\r\n0\r\n\r\n")});
  out.push_back({"plus before chunk size", chunked_with("+5\r\nhello\r\n0\r\n\r\n")});
  out.push_back({"minus before chunk size", chunked_with("-5\r\nhello\r\n0\r\n\r\n")});
  out.push_back({"space before chunk size", chunked_with(" 5\r\nhello\r\n0\r\n\r\n")});
  out.push_back({"space behind chunk size", chunked_with("5 \r\nhello\r\n0\r\n\r\n")});
  out.push_back({"empty chunk size", chunked_with("\r\nhello\r\n0\r\n\r\n")});
  out.push_back({"only an extension", chunked_with(";a=b\r\nhello\r\n0\r\n\r\n")});
  out.push_back({"chunk size beyond 64 bits", chunked_with("10000000000000005\r\nhello\r\n0\r\n\r\n")});
  out.push_back({"chunk size of 64 bits", chunked_with("ffffffffffffffff\r\nhello\r\n0\r\n\r\n")});
  out.push_back({"underscore in chunk size", chunked_with("0_5\r\nhello\r\n0\r\n\r\n")});
  out.push_back({"chunk size ends in line feed", chunked_with("5\nhello\r\n0\r\n\r\n")});
  out.push_back({"chunk size ends in carriage return", chunked_with("5\rXhello\r\n0\r\n\r\n")});
  out.push_back({"chunk longer than its size", chunked_with("5\r\nhelloX\r\n0\r\n\r\n")});
  out.push_back({"no line end behind a chunk", chunked_with("5\r\nhello0\r\n\r\n")});
  out.push_back({"line feed behind a chunk", chunked_with("5\r\nhello\n0\r\n\r\n")});
  out.push_back({"line feed in an extension", chunked_with("5;a\nb\r\nhello\r\n0\r\n\r\n")});
  out.push_back({"carriage return in an extension", chunked_with("5;a\rb\r\nhello\r\n0\r\n\r\n")});
  out.push_back({"NUL in an extension", chunked_with("5;a\0b\r\nhello\r\n0\r\n\r\n"s)});
  out.push_back({"extension of 300 bytes", chunked_with("5;" + std::string(300, 'x') + "\r\nhello\r\n0\r\n\r\n")});
  out.push_back({"zeros without end", chunked_with(std::string(300, '0') + "5\r\nhello\r\n0\r\n\r\n")});
  out.push_back({"line feed ends the last chunk", chunked_with("5\r\nhello\r\n0\n\r\n")});
  out.push_back({"line feed ends the body", chunked_with("5\r\nhello\r\n0\r\n\n")});
  out.push_back({"trailers without end", chunked_with("0\r\nX: " + std::string(20 * 1024, 'x') + "\r\n\r\n")});
  out.push_back({"folded trailer", chunked_with("0\r\nX: a\r\n b\r\n\r\n")});
  out.push_back({"control character in a trailer", chunked_with("0\r\nX: a\x01\r\n\r\n")});
}

void add_good(std::vector<GuardCase>& out) {
  out.push_back({"plain GET", get_with(""), 0});
  out.push_back({"length", length_with(" 5"), 0});
  out.push_back({"length with leading zeros", length_with(" 0005"), 0});
  out.push_back({"length with white space around", length_with("\t 5 \t"), 0});
  out.push_back({"GET with a body", "GET /echo HTTP/1.1\r\n" + k_host + "Content-Length: 5\r\n\r\nhello", 0});
  out.push_back(
      {"a request as a body", post_with("Content-Length: " + std::to_string(k_hidden.size()) + "\r\n", k_hidden), 0});
  out.push_back({"a request in a chunk", chunked_with("26\r\n" + k_hidden + "\r\n0\r\n\r\n"), 0});
  out.push_back({"chunks", chunked_with("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), 0});
  out.push_back({"chunk size with zeros and capitals", chunked_with("00A\r\n0123456789\r\n000\r\n\r\n"), 0});
  out.push_back({"chunk extensions", chunked_with("5;a=b;c=\"d\"\r\nhello\r\n0;last\r\n\r\n"), 0});
  out.push_back({"framing fields in trailers",
                 chunked_with("5\r\nhello\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\n\r\n"), 0});
  out.push_back({"field that only looks like framing",
                 post_with("Content_Length: 50\r\nTransfer_Encoding: chunked\r\nContent-Length: 5\r\n", "hello"), 0});
  out.push_back({"8-bit characters in a value", get_with("X: \xe9\xff\r\n"), 0});
  out.push_back({"empty value", get_with("X:\r\n"), 0});
  out.push_back({"absolute form", line("GET http://test/hello HTTP/1.1"), 0});
  out.push_back({"99 more fields", get_with(many_fields(99)), 0});
  out.push_back({"upgrade to what is not spoken",
                 get_with("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"), 0});
  out.push_back(
      {"length named in Connection", post_with("Connection: Content-Length\r\nContent-Length: 5\r\n", "hello"), 0});
  out.push_back({"unknown method", line("BREW /hello HTTP/1.1"), 0});
}

}  // namespace

const std::vector<GuardCase>& guard_corpus() {
  static const std::vector<GuardCase> corpus = [] {
    std::vector<GuardCase> out;
    add_lengths(out);
    add_encodings(out);
    add_fields(out);
    add_request_lines(out);
    add_chunks(out);
    add_good(out);
    return out;
  }();
  return corpus;
}

}  // namespace histod::test
