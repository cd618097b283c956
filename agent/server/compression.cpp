#include "agent/server/compression.hpp"

#include "agent/server/field_list.hpp"
#include "agent/server/file_stream.hpp"
#include "agent/server/response_source.hpp"

namespace signalbox::server {

namespace {

/// About two milliseconds of gzip. What is longer is coded piece by piece.
constexpr std::size_t kAtOnce = 128 * 1024;

bool has_member(const Headers& headers, std::string_view name, std::string_view wanted) {
    bool found = false;
    for (const Headers::Field& field : headers)
        if (same_word(field.name, name))
            for_each_member(field.value,
                            [&](std::string_view member) { found = found || same_word(member, wanted); });
    return found;
}

bool is_worth_it(const Response& response, const CompressionOptions& options) {
    const auto length = response.source ? response.source->length() : response.body.size();
    return !length || *length >= static_cast<std::uint64_t>(options.min_size);
}

bool may_be_coded(const Response& response, const CompressionOptions& options) {
    const Headers& headers = response.headers;
    return response.status / 100 == 2 && response.status != 204 && response.status != 206 &&
           !headers.has("Content-Encoding") && !headers.has("Content-Range") &&
           !has_member(headers, "cache-control", "no-transform") &&
           is_listed(headers.find("Content-Type").value_or(""), options.types) &&
           is_worth_it(response, options);
}

void vary_by_coding(Headers& headers) {
    if (!has_member(headers, "vary", "*") && !has_member(headers, "vary", "accept-encoding"))
        headers.add("Vary", "Accept-Encoding");
}

/// A strong tag stands for the very bytes, which are others now (RFC 9110, section 8.8.1).
void weaken_tag(Headers& headers) {
    const auto tag = headers.find("ETag");
    if (tag && !tag->starts_with("W/")) headers.set("ETag", "W/" + std::string(*tag));
}

awaitable<void> write_all(ResponseStream& out, std::shared_ptr<const std::string> body) {
    co_await out.write(*body);
}

/// The same body, as a source of unknown length.
std::shared_ptr<const ResponseSource> as_produced(Response& response) {
    ResponseSource source;
    if (!response.source) {
        source.produce = [body = std::make_shared<const std::string>(std::move(response.body))](
                             ResponseStream& out) { return write_all(out, body); };
        response.body.clear();
    } else if (response.source->file) {
        source.produce = [file = response.source](ResponseStream& out) {
            return write_file(out, *file->file);
        };
    } else {
        return response.source;
    }
    return std::make_shared<const ResponseSource>(std::move(source));
}

}  // namespace

std::unique_ptr<Encoder> compress(Response& response, Coding accepted, const CompressionOptions& options) {
    // A 304 says what the 200 would have said.
    if (response.status == 304 && response.headers.has("ETag")) vary_by_coding(response.headers);
    if (!may_be_coded(response, options)) return nullptr;
    vary_by_coding(response.headers);
    if (accepted == Coding::identity) return nullptr;

    auto encoder = make_encoder(accepted, options);
    if (!response.source && response.body.size() <= kAtOnce) {
        std::string coded;
        encoder->finish(response.body, coded);
        encoder.reset();
        if (coded.size() >= response.body.size()) return nullptr;
        response.body = std::move(coded);
    } else {
        response.source = as_produced(response);
    }
    response.headers.add("Content-Encoding", name_of(accepted));
    weaken_tag(response.headers);
    return encoder;
}

}  // namespace signalbox::server
