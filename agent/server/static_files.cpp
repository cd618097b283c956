// Router::files(): a path, a file, and what the client has of it already.
#include <fmt/format.h>

#include <stdexcept>

#include "agent/server/byte_range.hpp"
#include "agent/server/content_type.hpp"
#include "agent/server/file_directory.hpp"
#include "agent/server/preconditions.hpp"
#include "agent/server/response_writer.hpp"
#include "agent/server/token.hpp"

namespace signalbox {

namespace server {

namespace {

/// What is shorter is read at once, and goes out with the header in one write.
constexpr std::uint64_t kReadAtOnce = 16 * 1024;

Response with_status(int status) {
    return Response::text(fmt::format("{} {}\n", status, reason_phrase(status)), status);
}

bool has_dot_file(std::string_view path) {
    return path.starts_with('.') || path.find("/.") != path.npos;
}

Validators validators_of(const FileDirectory::Found& found) {
    return {.tag = fmt::format("\"{:x}-{:x}-{:x}{:08x}\"", found.inode, found.size, found.modified.tv_sec,
                               found.modified.tv_nsec),
            .modified = found.modified.tv_sec};
}

/// `path` as it stands in a target.
std::string encoded(std::string_view path) {
    std::string out;
    for (const char c : path) {
        const bool as_it_is = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                              std::string_view("/-._~!$&'()*+,;=:@").find(c) != std::string_view::npos;
        if (as_it_is)
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

Response redirected_to_directory(const Request& request) {
    Response response = with_status(301);
    std::string location = encoded(request.path) + '/';
    if (!request.query.empty()) location += '?' + request.query;
    response.headers.add("Location", location);
    return response;
}

void put_body(Response& response, FilePart part, bool of_head) {
    if (of_head || part.length > kReadAtOnce) {
        response.source = std::make_shared<const ResponseSource>(ResponseSource{.file = std::move(part)});
        return;
    }
    response.body.resize(part.length);
    const ssize_t bytes =
        ::pread(part.file.get(), response.body.data(), part.length, static_cast<off_t>(part.offset));
    if (bytes != static_cast<ssize_t>(part.length))
        throw std::runtime_error("the file has become shorter, or cannot be read");
}

class StaticFiles {
public:
    StaticFiles(const std::string& directory, FileOptions options)
        : directory_(directory), options_(std::move(options)) {}

    Response answer(const Request& request) const {
        std::string path(request.parameter("file"));
        const bool of_directory = path.empty() || path.ends_with('/');
        if (of_directory) path += options_.index;
        if (!options_.dot_files && has_dot_file(path)) return with_status(404);
        auto found = directory_.open(path);
        if (!found) return with_status(404);
        if (!found->is_directory) return send(request, path, std::move(*found));
        const bool has_index = !of_directory && !options_.index.empty();
        return has_index ? redirected_to_directory(request) : with_status(404);
    }

private:
    Response send(const Request& request, std::string_view path, FileDirectory::Found found) const {
        const Validators current = validators_of(found);
        Response response;
        response.headers.add("ETag", current.tag);
        if (!options_.cache_control.empty()) response.headers.add("Cache-Control", options_.cache_control);
        switch (check_preconditions(request.headers, current)) {
            case Verdict::not_modified:
                response.status = 304;
                return response;
            case Verdict::failed:
                return with_status(412);
            case Verdict::proceed:
                break;
        }
        DateClock clock;
        response.headers.add("Last-Modified", clock.at(current.modified));
        response.headers.add("Accept-Ranges", "bytes");
        FilePart part{.file = std::move(found.file), .offset = 0, .length = found.size};
        // Ranges are defined for GET only (RFC 9110, section 14.2).
        const auto asked = request.headers.find("Range");
        if (asked && request.method == "GET" && range_counts(request.headers, current)) {
            const ByteRange range = parse_range(*asked, found.size);
            if (range.kind == ByteRange::Kind::unsatisfiable) {
                response = with_status(416);
                response.headers.add("Content-Range", fmt::format("bytes */{}", found.size));
                return response;
            }
            if (range.kind == ByteRange::Kind::part) {
                response.status = 206;
                response.headers.add(
                    "Content-Range",
                    fmt::format("bytes {}-{}/{}", range.first, range.first + range.length - 1, found.size));
                part.offset = range.first;
                part.length = range.length;
            }
        }
        response.headers.add("Content-Type", content_type_of(path));
        response.headers.add("X-Content-Type-Options", "nosniff");
        put_body(response, std::move(part), request.method == "HEAD");
        return response;
    }

    const FileDirectory directory_;
    const FileOptions options_;
};

}  // namespace

}  // namespace server

Router& Router::files(std::string_view prefix, const std::string& directory, FileOptions options) {
    if (!server::is_value(options.cache_control))
        throw std::invalid_argument("cache_control '" + options.cache_control + "' is no value of a field");
    const auto files = std::make_shared<const server::StaticFiles>(directory, std::move(options));
    std::string pattern(prefix);
    if (!pattern.ends_with('/')) pattern += '/';
    return get(pattern + "*file", [files](const Request& request) { return files->answer(request); });
}

}  // namespace signalbox
