#include "agent/telemetry/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <stdexcept>

#include "agent/telemetry/registration.hpp"
#include "agent/telemetry/setting_values.hpp"
#include "common/wire/utf8.hpp"

namespace signalbox::telemetry {
namespace {

using detail::SettingType;
constexpr auto relaxed = std::memory_order_relaxed;

bool is_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

std::string cut(std::string_view text, std::size_t most) {
    constexpr std::string_view kMore = "…";
    std::string whole = wire::to_utf8(text);
    if (whole.size() <= most) return whole;
    return wire::to_utf8(whole, most - kMore.size()).append(kMore);
}

void check_length(std::string_view text, std::size_t room, std::string_view what, std::string_view name) {
    if (text.size() >= room)
        throw std::invalid_argument(fmt::format("setting {}: its {} has {} bytes, at most {} fit", name, what,
                                                text.size(), room - 1));
}

template <std::size_t N>
void store_bytes(AtomicWord (&words)[N], std::string_view text) {
    std::array<std::uint64_t, N> copy{};
    std::memcpy(copy.data(), text.data(), std::min(text.size(), sizeof copy));
    for (std::size_t i = 0; i < N; ++i)
        words[i].store(copy[i], relaxed);
}

template <std::size_t N>
std::string load_bytes(const AtomicWord (&words)[N], std::size_t length) {
    std::array<std::uint64_t, N> copy;
    for (std::size_t i = 0; i < N; ++i)
        copy[i] = words[i].load(relaxed);
    return {reinterpret_cast<const char*>(copy.data()), std::min(length, sizeof copy)};
}

void store_text(SettingEntry& entry, std::string_view text, std::string_view origin) {
    const std::string value = cut(text, kSettingTextBytes);
    const std::string whence = cut(origin, kSettingOriginBytes);
    store_bytes(entry.text, value);
    store_bytes(entry.origin, whence);
    entry.text_and_origin_bytes.store(static_cast<std::uint32_t>(value.size() | whence.size() << 16),
                                      relaxed);
}

/// The keeper's. A reader that sees the sequence odd, or another one afterwards, takes nothing.
void rewrite(SettingEntry& entry, std::uint64_t word, std::string_view text, std::string_view origin) {
    const std::uint32_t odd = entry.sequence.load(relaxed) | 1;
    entry.sequence.store(odd, relaxed);
    std::atomic_thread_fence(std::memory_order_release);
    store_text(entry, text, origin);
    entry.word.store(word, relaxed);
    // Whoever sees the new version sees the new word.
    entry.version.store(entry.version.load(relaxed) + 1, std::memory_order_release);
    entry.sequence.store(odd + 1, std::memory_order_release);
}

std::optional<SettingValue> value_of(const SettingEntry& entry) {
    for (int attempt = 0; attempt < 8; ++attempt) {
        const std::uint32_t before = entry.sequence.load(std::memory_order_acquire);
        const std::uint32_t lengths = entry.text_and_origin_bytes.load(relaxed);
        SettingValue value{load_bytes(entry.text, lengths & 0xffff), load_bytes(entry.origin, lengths >> 16),
                           entry.word.load(relaxed), entry.version.load(relaxed)};
        std::atomic_thread_fence(std::memory_order_acquire);
        if (before % 2 == 0 && entry.sequence.load(relaxed) == before) return value;
    }
    return {};
}

std::string_view kind_name(std::uint32_t kind) {
    switch (static_cast<SettingKind>(kind)) {
        case SettingKind::fact:
            return "a fact";
        case SettingKind::setting:
            return "a setting";
        case SettingKind::tunable:
            return "a tunable";
    }
    return "something else";
}

void write_new(SettingEntry& entry, const SettingDescription& d, std::string_view place) {
    entry.kind = static_cast<std::uint32_t>(d.kind);
    entry.type = static_cast<std::uint32_t>(d.type);
    entry.role = static_cast<std::uint32_t>(d.role);
    entry.min = d.min;
    entry.max = d.max;
    entry.step = d.step;
    std::copy(d.name.begin(), d.name.end(), entry.name);
    std::copy(d.unit.begin(), d.unit.end(), entry.unit);
    std::copy(d.help.begin(), d.help.end(), entry.help);
    std::memcpy(entry.defined_at, place.data(), place.size());
    store_text(entry, d.text, d.origin);
    entry.word.store(d.word, relaxed);
}

void take_again(Segment& segment, SettingEntry& entry, const SettingDescription& d, std::string_view place) {
    const auto refuse = [&](std::string_view as) {
        throw std::invalid_argument(
            fmt::format("setting {} is registered already, as {}, at {}; give this one (at {}) another name",
                        d.name, as, field(entry.defined_at), place));
    };
    if (entry.kind != static_cast<std::uint32_t>(d.kind)) refuse(kind_name(entry.kind));
    if (entry.type != static_cast<std::uint32_t>(d.type))
        refuse(fmt::format("of type {}", type_name(static_cast<SettingType>(entry.type))));
    if (entry.min != d.min || entry.max != d.max || entry.step != d.step) refuse("with another range");
    if (entry.role != static_cast<std::uint32_t>(d.role)) refuse("for another role");
    if (d.kind == SettingKind::tunable || !segment.is_keeper()) return;
    const auto now = value_of(entry);
    if (!now || now->text != cut(d.text, kSettingTextBytes) ||
        now->origin != cut(d.origin, kSettingOriginBytes))
        rewrite(entry, d.word, d.text, d.origin);
}

}  // namespace

SettingEntry& register_setting(Segment& segment, const SettingDescription& d) {
    // Everything is checked before an entry is claimed, so that none is given back.
    if (!is_name(d.name))
        throw std::invalid_argument(fmt::format("setting name '{}': use printable characters", d.name));
    check_length(d.name, sizeof(SettingEntry::name), "name", d.name);
    check_length(d.unit, sizeof(SettingEntry::unit), "unit", d.name);
    check_length(d.help, sizeof(SettingEntry::help), "help", d.name);
    const std::string place = place_of(d.defined_at, sizeof(SettingEntry::defined_at));
    for (std::uint32_t i = 0; i < segment.geometry().settings_capacity; ++i) {
        SettingEntry& entry = segment.setting(i);
        if (Claim claim(entry.state); claim) {
            write_new(entry, d, place);
            if (claim.publish()) return entry;
            continue;
        }
        if (state_of(entry.state) != EntryState::ready || field(entry.name) != d.name) continue;
        take_again(segment, entry, d, place);
        return entry;
    }
    throw std::length_error(
        fmt::format("setting {}: the table's {} entries are taken; raise "
                    "TelemetryOptions::settings",
                    d.name, segment.geometry().settings_capacity));
}

std::optional<Setting> read_setting(const SettingEntry& shared, std::uint32_t index) {
    if (state_of(shared.state) != EntryState::ready) return {};
    // What is checked must be what is used, whoever scribbles over the entry meanwhile.
    alignas(SettingDefinition) std::byte copy[sizeof(SettingDefinition)];
    std::memcpy(copy, static_cast<const void*>(&shared), sizeof copy);
    const auto& entry = *reinterpret_cast<const SettingDefinition*>(copy);
    if (entry.kind < 1 || entry.kind > 3 || entry.type < 1 || entry.type > 6 || entry.role < 1 ||
        entry.role > 2)
        return {};
    Setting setting;
    setting.index = index;
    setting.kind = static_cast<SettingKind>(entry.kind);
    setting.type = static_cast<SettingType>(entry.type);
    setting.role = static_cast<Role>(entry.role);
    setting.min = entry.min;
    setting.max = entry.max;
    setting.step = entry.step;
    if ((setting.kind == SettingKind::tunable) == (setting.type == SettingType::text)) return {};
    if (!is_value(setting.type, setting.min) || !is_value(setting.type, setting.max) ||
        is_less(setting.type, setting.max, setting.min) || setting.step < 1 || setting.step > INT64_MAX)
        return {};
    setting.name = field(entry.name);
    setting.unit = field(entry.unit);
    setting.help = field(entry.help);
    setting.defined_at = field(entry.defined_at);
    if (!is_name(setting.name)) return {};
    setting.value = value_of(shared);
    if (setting.value && setting.kind == SettingKind::tunable) {
        // The word is what the processes go by.
        setting.value->text = format_value(setting.type, setting.value->word);
        if (!refusal_of(setting, setting.value->word, {}).empty()) setting.value.reset();
    }
    return setting;
}

std::string refusal_of(const Setting& setting, std::uint64_t word, std::string_view said) {
    const SettingType type = setting.type;
    const auto refusal = [&](std::string_view what, std::string_view limit) {
        return fmt::format("{}: '{}' is {} {}", setting.name, said, what, limit);
    };
    if (!is_value(type, word)) return refusal("no", type_name(type));
    if (is_less(type, word, setting.min))
        return refusal("below its minimum of", format_value(type, setting.min));
    if (is_less(type, setting.max, word))
        return refusal("above its maximum of", format_value(type, setting.max));
    if (type == SettingType::duration &&
        static_cast<std::int64_t>(word) % static_cast<std::int64_t>(setting.step) != 0)
        return refusal("not a multiple of", format_value(type, setting.step));
    return {};
}

Change change_tunable(Segment& segment, std::uint32_t index, SettingType type, std::uint64_t word,
                      std::string_view origin) {
    Change change;
    std::optional<Setting> setting;
    if (index < segment.geometry().settings_capacity) setting = read_setting(segment.setting(index), index);
    if (!setting) {
        change.refusal = fmt::format("there is no setting {}", index);
        return change;
    }
    change.name = setting->name;
    if (setting->kind != SettingKind::tunable)
        change.refusal = fmt::format("{} cannot be changed while the group runs", setting->name);
    else if (setting->type != type)
        change.refusal =
            fmt::format("{} is of type {}, not {}", setting->name, type_name(setting->type), type_name(type));
    else
        change.refusal = refusal_of(*setting, word, format_value(type, word));
    if (!change.refusal.empty()) return change;
    change.from = setting->value ? setting->value->text : "an unknown value";
    change.to = format_value(type, word);
    rewrite(segment.setting(index), word, change.to, origin);
    return change;
}

void note_setting(Segment& segment, std::string_view name, std::string_view text, std::string_view origin) {
    for (std::uint32_t i = 0; i < segment.geometry().settings_capacity; ++i) {
        SettingEntry& entry = segment.setting(i);
        const EntryState state = state_of(entry.state);
        if (state == EntryState::vacant) return;
        if (state == EntryState::ready && field(entry.name) == name &&
            entry.kind == static_cast<std::uint32_t>(SettingKind::setting))
            return rewrite(entry, 0, text, origin);
    }
}

}  // namespace signalbox::telemetry
