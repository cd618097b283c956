// The instruments of actions, by name: registered at a name's first use, found without a lock afterwards.
#pragma once

#include <array>
#include <atomic>
#include <optional>
#include <string>
#include <string_view>

#include "signalbox/telemetry.hpp"

namespace signalbox::telemetry {

struct ActionInstruments {
    ActionInstruments(Telemetry& telemetry, std::string_view action);

    Duration duration;
    Counter success;
    Counter failure;
    Counter exception;
};

/// Open addressing over atomic pointers: places are only ever filled, never moved or emptied, so that a reader
/// needs nothing but loads. Half of them stay free, which keeps probes short.
class ActionTable {
public:
    static constexpr unsigned kNames = 64;

    explicit ActionTable(Telemetry& telemetry) : telemetry_(telemetry) {}
    ~ActionTable();
    ActionTable(const ActionTable&) = delete;
    ActionTable& operator=(const ActionTable&) = delete;

    /// Any thread. Names beyond kNames, and those that cannot be registered (the directory is full), share the
    /// instruments of the action "other"; null if there are not even those.
    ActionInstruments* find(std::string_view name) noexcept;

private:
    struct Entry {
        std::string name;
        std::optional<ActionInstruments> instruments;
    };
    using Place = std::atomic<Entry*>;

    ActionInstruments* use(Entry& entry) noexcept;
    ActionInstruments* others() noexcept;
    Entry* add(std::string_view name, Place& place) noexcept;
    Entry* make(std::string_view name) const noexcept;

    Telemetry& telemetry_;
    std::atomic<unsigned> taken_{0};
    std::array<Place, 2 * kNames> places_{};
    Place others_{nullptr};
};

}  // namespace signalbox::telemetry
