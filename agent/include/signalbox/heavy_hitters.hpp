// Which ones most: the busiest clients, paths, senders, queries, in bounded memory.
//
//     signalbox::HeavyHitters paths(telemetry, "paths", "What is asked for");
//     paths.add(request.path());
//     clients.add(address, bytes_sent);                        // or by weight
//
// Space-Saving in 45 KiB for each thread that records (common/sketch/space_saving.hpp, which has the bounds):
// every key of more than about 0.1 % of the whole is listed, each with its count and by how much that may be
// too high at most. Workers' lists merge without a loss of exactness beyond what is stated.
#pragma once

#include <cstdint>
#include <source_location>
#include <string_view>

#include "common/sketch/space_saving.hpp"
#include "signalbox/detail/lane.hpp"
#include "signalbox/telemetry.hpp"

namespace signalbox {

class HeavyHitters {
public:
    /// Throws as Counter does.
    HeavyHitters(Telemetry& telemetry, std::string_view name, std::string_view help,
                 const Labels& labels = {}, std::source_location where = std::source_location::current());

    /// Any bytes; keys beyond 48 bytes are told apart by their hash and shown by their beginning. Any thread;
    /// a thread with a lane of its own waits for nobody and misses nothing, others count what they could not
    /// add (see `missed` there).
    void add(std::string_view key, std::uint64_t amount = 1) noexcept {
        std::byte* const base = detail::own_lane;
        if (!base || reinterpret_cast<detail::Word*>(base + used_offset_)->load(std::memory_order_relaxed) ==
                         0) [[unlikely]]
            return add_elsewhere(key, amount);
        sketch::add(*reinterpret_cast<sketch::SpaceSavingTable*>(base + table_offset_), key, amount);
    }

private:
    /// The first add of a thread, and all of one without a lane of its own.
    void add_elsewhere(std::string_view key, std::uint64_t amount) noexcept;

    std::uint32_t used_offset_;  ///< of a word that says whether the table need be read
    std::uint32_t table_offset_;
};

}  // namespace signalbox
