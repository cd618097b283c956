#include "agent/service/history.hpp"

#include <sys/mman.h>

#include <cstring>
#include <string>

namespace signalbox::service {
namespace {

Frame in_own_pages(std::string_view text) {
    const std::size_t size = text.size();
    void* const pages = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return Frame(std::string(text));
    std::memcpy(pages, text.data(), size);
    const std::shared_ptr<const void> owned(
        pages, [size](const void* mapped) { ::munmap(const_cast<void*>(mapped), size); });
    return {owned, {static_cast<const char*>(pages), size}};
}

}  // namespace

void History::add(wire::WallTime end, std::string_view finest) {
    bytes_ += finest.size();
    entries_.push_back({end, in_own_pages(finest)});
    while (!entries_.empty() && (bytes_ > kBytes || entries_.front().end <= end - kSpan)) {
        bytes_ -= entries_.front().finest.size();
        entries_.pop_front();
    }
}

std::vector<Frame> History::since(wire::WallTime instant) const {
    std::vector<Frame> frames;
    for (const Entry& entry : entries_)
        if (entry.end > instant) frames.push_back(entry.finest);
    return frames;
}

}  // namespace signalbox::service
