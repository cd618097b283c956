// Where the bytes of a response come from that are not in Response::body.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "signalbox/http.hpp"

namespace signalbox {

namespace server {

/// A descriptor that is closed with its owner.
class OpenFile {
public:
    explicit OpenFile(int descriptor) : descriptor_(descriptor) {}
    ~OpenFile() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }
    OpenFile(OpenFile&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
    OpenFile& operator=(OpenFile&& other) noexcept {
        std::swap(descriptor_, other.descriptor_);
        return *this;
    }
    int get() const { return descriptor_; }
    explicit operator bool() const { return descriptor_ >= 0; }

private:
    int descriptor_;
};

/// A part of a regular file.
struct FilePart {
    OpenFile file;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

}  // namespace server

/// Either of the two.
struct ResponseSource {
    StreamProducer produce{};
    std::optional<server::FilePart> file{};

    /// Of the body, if it is known before it is sent.
    std::optional<std::uint64_t> length() const { return file ? std::optional(file->length) : std::nullopt; }
};

}  // namespace signalbox
