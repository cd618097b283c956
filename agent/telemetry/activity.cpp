#include "agent/telemetry/activity.hpp"

#include <algorithm>
#include <array>

namespace signalbox::telemetry {

std::string read_activity(const ActivityRecord& record, std::uint64_t& since) {
    constexpr auto relaxed = std::memory_order_relaxed;
    for (int attempt = 0; attempt < 8; ++attempt) {
        const std::uint32_t before = record.sequence.load(std::memory_order_acquire);
        const std::uint32_t length =
            std::min<std::uint32_t>(record.length.load(std::memory_order_acquire), sizeof record.text);
        std::array<std::uint64_t, std::size(ActivityRecord{}.text)> words;
        for (std::size_t i = 0; i < words.size(); ++i)
            words[i] = record.text[i].load(relaxed);
        since = record.since_monotonic_ns.load(relaxed);
        std::atomic_thread_fence(std::memory_order_acquire);
        if (before % 2 == 0 && record.sequence.load(relaxed) == before)
            return {reinterpret_cast<const char*>(words.data()), length};
    }
    return {};
}

}  // namespace signalbox::telemetry
