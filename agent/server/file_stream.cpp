#include "agent/server/file_stream.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>

namespace signalbox::server {

namespace {

constexpr std::size_t kPiece = 64 * 1024;

}  // namespace

awaitable<void> write_file(ResponseStream& out, const FilePart& part) {
    const auto buffer = std::make_unique_for_overwrite<char[]>(kPiece);
    for (std::uint64_t sent = 0; sent < part.length;) {
        const std::size_t wanted = std::min<std::uint64_t>(part.length - sent, kPiece);
        const ssize_t bytes =
            ::pread(part.file.get(), buffer.get(), wanted, static_cast<off_t>(part.offset + sent));
        if (bytes <= 0) throw std::runtime_error("the file has become shorter, or cannot be read");
        sent += static_cast<std::size_t>(bytes);
        co_await out.write({buffer.get(), static_cast<std::size_t>(bytes)});
    }
}

}  // namespace signalbox::server
