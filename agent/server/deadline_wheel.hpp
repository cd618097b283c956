// Coarse deadlines for many connections: a hashed timer wheel, turned by the worker's heartbeat.
//
// A deadline moves with every request, and nearly none is ever reached. So moving one later only stores a
// number; the entry is looked at again, and put where it now belongs, when the wheel comes to its old place.
// Deadlines are met within two ticks (200 ms), never early. (Varghese and Lauck, "Hashed and Hierarchical
// Timing Wheels", scheme 6.)
#pragma once

#include <array>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstdint>

namespace signalbox::server {

class DeadlineWheel {
public:
    static constexpr std::chrono::milliseconds kTick{100};

    class Entry : public boost::intrusive::list_base_hook<
                      boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    public:
        virtual ~Entry() = default;
        /// May set a new deadline, and may destroy this entry or any other.
        virtual void deadline_passed(std::uint64_t now) = 0;

    private:
        friend class DeadlineWheel;
        std::uint64_t due_ = UINT64_MAX;  ///< in ticks
        std::uint64_t place_ = 0;         ///< the tick at which the wheel looks at it, if linked
    };

    /// Times are CLOCK_MONOTONIC nanoseconds.
    explicit DeadlineWheel(std::uint64_t now) : turned_to_(tick_of(now)) {}

    void set(Entry& entry, std::uint64_t now, std::chrono::milliseconds after) {
        entry.due_ = tick_of(now + static_cast<std::uint64_t>(std::chrono::nanoseconds(after).count())) + 1;
        if (!entry.is_linked() || entry.due_ < entry.place_) link(entry);
    }
    void clear(Entry& entry) { entry.due_ = UINT64_MAX; }

    /// Calls what is due.
    void advance(std::uint64_t now);

private:
    using List = boost::intrusive::list<Entry, boost::intrusive::constant_time_size<false>>;
    static constexpr std::size_t kPlaces = 512;  // 51 seconds; later deadlines are put off once or twice

    static std::uint64_t tick_of(std::uint64_t now) {
        return now / static_cast<std::uint64_t>(std::chrono::nanoseconds(kTick).count());
    }
    void link(Entry& entry);
    void turn(std::uint64_t tick, std::uint64_t now);

    std::array<List, kPlaces> places_;
    std::uint64_t turned_to_;
};

}  // namespace signalbox::server
