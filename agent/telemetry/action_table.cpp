#include "agent/telemetry/action_table.hpp"

#include <functional>
#include <memory>
#include <new>

namespace signalbox::telemetry {
namespace {

Counter outcome_counter(Telemetry& telemetry, std::string_view action, const char* outcome) {
    return {telemetry,
            "actions_total",
            "Actions that have ended",
            {{"action", std::string(action)}, {"outcome", outcome}}};
}

}  // namespace

ActionInstruments::ActionInstruments(Telemetry& telemetry, std::string_view action)
    : duration(telemetry, "action_duration_seconds", "From the begin of an action to its end",
               {{"action", std::string(action)}}),
      success(outcome_counter(telemetry, action, "success")),
      failure(outcome_counter(telemetry, action, "failure")),
      exception(outcome_counter(telemetry, action, "exception")) {}

ActionTable::~ActionTable() {
    for (Place& place : places_)
        delete place.load(std::memory_order_relaxed);
    delete others_.load(std::memory_order_relaxed);
}

ActionInstruments* ActionTable::find(std::string_view name) noexcept {
    std::size_t at = std::hash<std::string_view>{}(name) % places_.size();
    for (std::size_t probes = 0; probes < places_.size(); ++probes, at = (at + 1) % places_.size()) {
        Place& place = places_[at];
        Entry* entry = place.load(std::memory_order_acquire);
        if (!entry) entry = add(name, place);
        if (!entry) return others();
        if (entry->name == name) return use(*entry);
    }
    return others();
}

ActionInstruments* ActionTable::use(Entry& entry) noexcept {
    return entry.instruments ? &*entry.instruments : others();
}

ActionInstruments* ActionTable::others() noexcept {
    Entry* entry = others_.load(std::memory_order_acquire);
    if (!entry) {
        Entry* made = make("other");
        if (!made) return nullptr;
        if (others_.compare_exchange_strong(entry, made, std::memory_order_acq_rel))
            entry = made;
        else
            delete made;
    }
    return entry->instruments ? &*entry->instruments : nullptr;
}

/// Who is in `place` afterwards, which may be another name; null if there is no room or no memory.
ActionTable::Entry* ActionTable::add(std::string_view name, Place& place) noexcept {
    // A place in the count comes first, so that however many threads come at once the limit holds.
    if (taken_.fetch_add(1, std::memory_order_relaxed) < kNames) {
        Entry* made = make(name);
        Entry* before = nullptr;
        if (made && place.compare_exchange_strong(before, made, std::memory_order_acq_rel)) return made;
        delete made;
        taken_.fetch_sub(1, std::memory_order_relaxed);
        return before;
    }
    taken_.fetch_sub(1, std::memory_order_relaxed);
    return nullptr;
}

ActionTable::Entry* ActionTable::make(std::string_view name) const noexcept {
    try {
        auto entry = std::make_unique<Entry>(Entry{std::string(name), std::nullopt});
        try {
            entry->instruments.emplace(telemetry_, name);
        } catch (const std::exception&) {
            // No room in the directory, or not a label's value: remembered, and not tried again.
        }
        return entry.release();
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

}  // namespace signalbox::telemetry
