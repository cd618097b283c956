#include "agent/telemetry/image.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

namespace signalbox::telemetry {
namespace {

constexpr std::size_t kPiece = 65536;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

/// Copies [from, to) of the file; pages of zeros stay untouched. Ends early where the file does.
void copy_range(int descriptor, std::byte* into, off_t from, off_t to) {
    std::vector<std::byte> piece(kPiece);
    while (from < to) {
        const auto wanted = static_cast<std::size_t>(std::min<off_t>(to - from, kPiece));
        const ssize_t got = ::pread(descriptor, piece.data(), wanted, from);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) fail("read");
        if (got == 0) return;
        constexpr std::size_t kZeroes = 4096;
        for (std::size_t at = 0; at < static_cast<std::size_t>(got); at += kZeroes) {
            const std::size_t size = std::min(kZeroes, static_cast<std::size_t>(got) - at);
            if (!is_zero({piece.data() + at, size})) std::memcpy(into + from + at, piece.data() + at, size);
        }
        from += got;
    }
}

}  // namespace

bool is_zero(std::span<const std::byte> bytes) {
    // Each byte is the one before it, and the first is zero: compared at the speed of memory.
    return bytes.empty() ||
           (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

Image Image::map(int descriptor, std::uint64_t bytes) {
    void* data = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
    if (data == MAP_FAILED) fail("mmap");
    // A look at the head of each seat would bring in the pages behind it, too, nearly all of which nobody has ever
    // touched: 8 MiB of a group that might have 64 workers.
    ::madvise(data, bytes, MADV_RANDOM);
    return {data, bytes};
}

Image Image::copy(int descriptor, std::uint64_t bytes) {
    void* data =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) fail("mmap");
    Image image(data, bytes);
    const auto end = static_cast<off_t>(bytes);
    for (off_t at = 0; at < end;) {
        off_t from = ::lseek(descriptor, at, SEEK_DATA);
        if (from < 0 && errno == ENXIO) break;  // only a hole is left
        if (from < 0) from = at;                // a file system that knows no holes
        const off_t hole = ::lseek(descriptor, from, SEEK_HOLE);
        const off_t to = hole > from ? std::min(hole, end) : end;
        copy_range(descriptor, image.data_, from, to);
        at = to;
    }
    return image;
}

Image::Image(Image&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Image& Image::operator=(Image&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

Image::~Image() {
    if (data_) ::munmap(data_, bytes_);
}

}  // namespace signalbox::telemetry
