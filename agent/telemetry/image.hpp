// The bytes of a segment as a reader holds them: mapped from the file, or copied out of it.
//
// A file that is truncated while it is mapped ends its reader with SIGBUS. A memfd of ours is sealed against
// that; of any other file a copy is the safe way to read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace signalbox::telemetry {

class Image {
public:
    /// Nothing yet.
    Image() = default;
    /// Both throw std::system_error. `descriptor` may be closed afterwards.
    static Image map(int descriptor, std::uint64_t bytes);
    /// Takes as much memory as the file has data: holes, and what is missing at the end, are zeros.
    static Image copy(int descriptor, std::uint64_t bytes);

    Image(Image&& other) noexcept;
    Image& operator=(Image&& other) noexcept;
    ~Image();

    const std::byte* data() const { return data_; }

private:
    Image(void* data, std::uint64_t bytes) : data_(static_cast<std::byte*>(data)), bytes_(bytes) {}

    std::byte* data_ = nullptr;
    std::uint64_t bytes_ = 0;
};

/// All of `bytes` are zero; touches nothing that it need not.
bool is_zero(std::span<const std::byte> bytes);

}  // namespace signalbox::telemetry
