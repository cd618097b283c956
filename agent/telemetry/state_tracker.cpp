#include "signalbox/state_tracker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cassert>
#include <optional>
#include <stdexcept>

#include "agent/telemetry/attachment.hpp"
#include "agent/telemetry/directory.hpp"

namespace signalbox {
namespace {

constexpr std::size_t kMaxTextBytes = 64;
/// Where one comes from that enters, and goes to that leaves.
constexpr std::size_t kOutside = StateTracker::kMaxStates;
constexpr std::size_t kPlaces = StateTracker::kMaxStates + 1;

/// From one place to another. Without instruments: there was no room for them.
struct Transition {
    std::optional<Counter> taken;
    std::optional<Interval> interval;
};
/// Stands for each that there was no room for. Never written to.
constinit Transition no_room;

void check(std::string_view name, std::string_view help, const std::vector<std::string>& states) {
    const auto refuse = [name](const std::string& why) {
        throw std::invalid_argument(fmt::format("state tracker {}: {}", name, why));
    };
    if (name.size() > kMaxTextBytes)
        refuse(fmt::format("its name has {} bytes, at most {} fit", name.size(), kMaxTextBytes));
    if (help.size() > kMaxTextBytes)
        refuse(fmt::format("its help has {} bytes, at most {} fit", help.size(), kMaxTextBytes));
    if (states.empty() || states.size() > StateTracker::kMaxStates)
        refuse(fmt::format("{} states; give it 1 to {}", states.size(), StateTracker::kMaxStates));
    for (auto state = states.begin(); state != states.end(); ++state) {
        if (state->empty() || state->size() > kMaxTextBytes || !telemetry::is_label_value(*state))
            refuse(fmt::format("state '{}': a state's name is a line of 1 to {} bytes of UTF-8", *state,
                               kMaxTextBytes));
        if (std::find(states.begin(), state, *state) != state)
            refuse(fmt::format("state '{}' is there twice; give each a name of its own", *state));
    }
}

}  // namespace

namespace detail {

class StateTable {
public:
    StateTable(Telemetry& telemetry, std::string_view name, std::string_view help,
               const std::vector<std::string>& states, std::source_location where)
        : telemetry_(telemetry),
          name_(name),
          help_(help),
          places_(states),
          where_(where),
          dropped_(telemetry, name_ + "_transitions_dropped_total",
                   help_ + ": transitions for whose kind there was no room", {}, where) {
        for (const std::string& state : states) {
            const Labels labels{{"state", state}};
            counts_.emplace_back(telemetry, name_ + "_state_count", help_ + ": now in the state",
                                 Gauge::Merge::sum, labels, where);
            stays_.emplace_back(telemetry, name_ + "_state_duration_seconds",
                                help_ + ": time in the state, by stay", labels, where);
        }
        places_.resize(kPlaces);  // kOutside has no name
    }
    ~StateTable() {
        for (const std::atomic<Transition*>& place : transitions_)
            if (Transition* const transition = place.load(std::memory_order_relaxed); transition != &no_room)
                delete transition;
    }
    StateTable(const StateTable&) = delete;
    StateTable& operator=(const StateTable&) = delete;

    std::size_t state_count() const { return counts_.size(); }

    /// `stayed`: nanoseconds in `from`. `now` as section_now().
    void go(std::size_t from, std::size_t to, std::uint64_t stayed, std::uint64_t now) noexcept {
        if (from != to) {
            if (to != kOutside) counts_[to].add(1);
            if (from != kOutside) counts_[from].add(-1);
        }
        if (from != kOutside) stays_[from].record(std::chrono::nanoseconds(stayed));
        std::atomic<Transition*>& place = transitions_[from * kPlaces + to];
        Transition* transition = place.load(std::memory_order_acquire);
        if (!transition) [[unlikely]]
            transition = make_transition(place, from, to);
        if (transition->taken) [[likely]]
            transition->taken->add();
        if (transition->interval) [[likely]]
            transition->interval->tick_at(now);
        else
            dropped_.add();
    }

private:
    /// Threads that come here at once register the same instruments, and all but one throw theirs away.
    Transition* make_transition(std::atomic<Transition*>& place, std::size_t from, std::size_t to) noexcept {
        std::unique_ptr<Transition> transition;
        try {
            const Labels labels{{"from", places_[from]}, {"to", places_[to]}};
            transition = std::make_unique<Transition>();
            transition->taken.emplace(telemetry_, name_ + "_transitions_total", help_ + ": transitions",
                                      labels, where_);
            transition->interval.emplace(telemetry_, name_ + "_transition_interval_seconds",
                                         help_ + ": time between transitions of a kind", labels, where_);
        } catch (...) {
            // The directory never has room again, so this is not tried twice. A counter without an interval
            // is better than neither.
        }
        Transition* const ours = transition && transition->taken ? transition.get() : &no_room;
        Transition* theirs = nullptr;
        if (!place.compare_exchange_strong(theirs, ours, std::memory_order_acq_rel)) return theirs;
        if (ours == transition.get()) static_cast<void>(transition.release());
        return ours;
    }

    Telemetry& telemetry_;
    std::string name_;
    std::string help_;
    std::vector<std::string> places_;
    std::source_location where_;
    Counter dropped_;
    std::vector<Gauge> counts_;
    std::vector<Duration> stays_;
    std::array<std::atomic<Transition*>, kPlaces * kPlaces> transitions_{};
};

}  // namespace detail

StateTracker::StateTracker(Telemetry& telemetry, std::string_view name, std::string_view help,
                           const std::vector<std::string>& states, std::source_location where) {
    check(name, help, states);
    table_ = std::make_shared<detail::StateTable>(telemetry, name, help, states, where);
}

StateTracker::Transitor StateTracker::enter(State state) noexcept {
    assert(state.place() < table_->state_count());
    Transitor transitor;
    transitor.table_ = table_.get();
    transitor.since_ = detail::section_now();
    transitor.attachment_ = detail::current_attachment();
    transitor.state_ = static_cast<std::uint32_t>(state.place());
    table_->go(kOutside, state.place(), 0, transitor.since_);
    return transitor;
}

void StateTracker::Transitor::move_to(State to) noexcept {
    assert(table_ && to.place() < table_->state_count());
    const std::uint64_t now = detail::section_now();
    const std::uint32_t attachment = detail::current_attachment();
    const std::size_t from = attachment == attachment_ ? state_ : kOutside;
    table_->go(from, to.place(), detail::section_nanoseconds(since_, now), now);
    since_ = now;
    attachment_ = attachment;
    state_ = static_cast<std::uint32_t>(to.place());
}

void StateTracker::Transitor::leave() noexcept {
    detail::StateTable* const table = std::exchange(table_, nullptr);
    if (!table || detail::current_attachment() != attachment_) return;
    const std::uint64_t now = detail::section_now();
    table->go(state_, kOutside, detail::section_nanoseconds(since_, now), now);
}

}  // namespace signalbox
