// Random bytes as the fields that choose what is sent: Accept-Encoding, Range, dates, lists of tags. Nothing is read
// beyond its end, a range lies within the file, and what is chosen was offered.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "agent/server/accept_encoding.hpp"
#include "agent/server/byte_range.hpp"
#include "agent/server/content_type.hpp"
#include "agent/server/http_date.hpp"
#include "agent/server/preconditions.hpp"
#include "agent/server/response_writer.hpp"

using namespace signalbox;
using namespace signalbox::server;

namespace {

void check(bool condition) {
    if (!condition) std::abort();
}

void check_range(std::string_view text, std::uint64_t size) {
    const ByteRange range = parse_range(text, size);
    if (range.kind != ByteRange::Kind::part) return;
    check(range.length > 0 && range.first < size && range.length <= size - range.first);
}

void check_coding(std::string_view text) {
    Headers request;
    request.add("Accept-Encoding", text);
    check(choose_coding(request, {.zstd = false}) != Coding::zstd);
    check(choose_coding(request, {.gzip = false, .zstd = false}) == Coding::identity);
    if (choose_coding(request, {}) == Coding::identity)
        check(choose_coding(request, {.zstd = false}) == Coding::identity);
}

void check_date(std::string_view text) {
    const auto time = parse_http_date(text);
    if (!time) return;
    DateClock clock;
    const std::string written(clock.at(*time));
    if (*time >= 0) check(parse_http_date(written) == time);
}

void check_tags(std::string_view text) {
    const Validators current{.tag = "\"tag\"", .modified = 784111777};
    for (const char* name : {"If-Match", "If-None-Match", "If-Range", "If-Modified-Since"}) {
        Headers request;
        request.add(name, text);
        check_preconditions(request, current);
        if (range_counts(request, current) && name == std::string_view("If-Range"))
            check(text == current.tag || parse_http_date(text) == current.modified);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(reinterpret_cast<const char*>(data), size);
    for (const std::uint64_t file : {std::uint64_t(0), std::uint64_t(1), std::uint64_t(500), UINT64_MAX})
        check_range(text, file);
    check_coding(text);
    check_date(text);
    check_tags(text);
    is_listed(text, CompressionOptions().types);
    content_type_of(text);
    return 0;
}
