// A small whole segment, patched: whatever is in it, everything that reads segments ends well (see read_everything()).
//
// The input is a list of patches, and perhaps a truncation: a byte that says where the patch counts from (an area, so
// that a short input reaches all of a large file), two bytes of offset, a byte of length (0 … 15; 16 and more: the rest
// of the file is cut off), then as many bytes.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "tests/agent/inspect/reading.hpp"
#include "tests/agent/telemetry/recorded_segment.hpp"

using namespace signalbox;

namespace {

/// The segment as it was recorded, without its holes: pages and where they lie.
class Base {
public:
    Base() {
        // Much of a reading is counting buckets: few workers and values of like size make it short.
        tests::RecordedSegment recorded({}, {.workers = 2, .events = 3, .values_far_apart = false});
        size_ = recorded.size();
        for (std::uint64_t at = 0; at < size_; at += telemetry::kPage) {
            const auto* page = reinterpret_cast<const char*>(recorded.bytes()) + at;
            if (std::any_of(page, page + telemetry::kPage, [](char c) { return c != 0; }))
                pages_.push_back({at, std::string(page, telemetry::kPage)});
        }
    }

    /// Where a patch may count from: every page that holds something.
    std::uint64_t place(std::uint8_t which) const { return pages_[which % pages_.size()].offset; }
    std::uint64_t size() const { return size_; }

    void write_to(int file) const {
        if (::ftruncate(file, 0) != 0 || ::ftruncate(file, static_cast<off_t>(size_)) != 0) std::abort();
        for (const Page& page : pages_)
            if (::pwrite(file, page.bytes.data(), page.bytes.size(), static_cast<off_t>(page.offset)) < 0)
                std::abort();
    }

private:
    struct Page {
        std::uint64_t offset;
        std::string bytes;
    };
    std::uint64_t size_ = 0;
    std::vector<Page> pages_;
};

void patch(int file, const Base& base, const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t kHead = 4;
    while (size >= kHead) {
        const std::uint64_t at = base.place(data[0]) + (data[1] | data[2] << 8) % telemetry::kPage;
        if (data[3] >= 16) {
            if (::ftruncate(file, static_cast<off_t>(at)) != 0) std::abort();
            return;
        }
        const std::size_t length = std::min<std::size_t>(data[3], size - kHead);
        const std::size_t fitting = std::min<std::uint64_t>(length, base.size() - at);
        if (::pwrite(file, data + kHead, fitting, static_cast<off_t>(at)) < 0) std::abort();
        data += kHead + length;
        size -= kHead + length;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const Base base;
    static const int file = ::memfd_create("fuzz", MFD_CLOEXEC);
    base.write_to(file);
    patch(file, base, data, size);
    tests::read_everything(file);
    return 0;
}
