#include "signalbox/context.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "agent/telemetry/process_facts.hpp"
#include "agent/telemetry/redaction.hpp"
#include "agent/telemetry/setting_values.hpp"
#include "agent/telemetry/settings.hpp"

namespace signalbox {
namespace {

using telemetry::register_setting;
using telemetry::SettingKind;

constexpr std::string_view kEnvironment = "environment.";

void check_name(std::string_view name) {
    const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
    if (name.empty() || name.front() < 'a' || name.front() > 'z' ||
        !std::all_of(name.begin(), name.end(), fits))
        throw std::invalid_argument(
            fmt::format("setting name '{}': use a to z, digits and _, starting with a letter; try "
                        "'slow_request_threshold'",
                        name));
}

/// Can be an entry's name as it is.
bool can_be_shown(std::string_view variable) {
    return kEnvironment.size() + variable.size() < sizeof(telemetry::SettingEntry::name) &&
           std::all_of(variable.begin(), variable.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

void Context::fact(std::string_view name, std::string_view value, std::source_location where) {
    check_name(name);
    register_setting(telemetry_->segment(), {.kind = SettingKind::fact,
                                             .name = name,
                                             .text = telemetry::redact_value(name, value),
                                             .origin = "code",
                                             .defined_at = where});
}

void Context::setting(std::string_view name, std::string_view value, std::string_view origin,
                      std::source_location where) {
    check_name(name);
    register_setting(telemetry_->segment(), {.kind = SettingKind::setting,
                                             .name = name,
                                             .text = telemetry::redact_value(name, value),
                                             .origin = origin,
                                             .defined_at = where});
}

void Context::describe_process() {
    telemetry::Segment& segment = telemetry_->segment();
    for (const auto& [name, value] : telemetry::process_facts())
        register_setting(segment,
                         {.kind = SettingKind::fact, .name = name, .text = value, .origin = "process"});
    // What a strange environment holds must not take the room of settings.
    std::uint32_t room = segment.geometry().settings_capacity / 2;
    unsigned left_out = 0;
    for (const auto& [name, value] : telemetry::environment_facts()) {
        if (room == 0 || !can_be_shown(name)) {
            ++left_out;
            continue;
        }
        --room;
        register_setting(segment, {.kind = SettingKind::fact,
                                   .name = std::string(kEnvironment) + name,
                                   .text = value,
                                   .origin = "environment"});
    }
    if (left_out > 0) fact("environment_left_out", fmt::format("{} variables", left_out));
}

namespace detail {

TunableCell::TunableCell(Context& context, const TunableDescription& d) {
    check_name(d.name);
    telemetry::Setting setting{.kind = SettingKind::tunable,
                               .type = d.type,
                               .role = d.role,
                               .min = d.min,
                               .max = d.max,
                               .step = d.step,
                               .name = std::string(d.name),
                               .unit = {},
                               .help = {},
                               .defined_at = {},
                               .value = {}};
    if (!telemetry::is_value(d.type, d.min) || !telemetry::is_value(d.type, d.max) ||
        telemetry::is_less(d.type, d.max, d.min))
        throw std::invalid_argument(fmt::format("{}: its range from {} to {} is none", d.name,
                                                telemetry::format_value(d.type, d.min),
                                                telemetry::format_value(d.type, d.max)));
    const std::string text = telemetry::format_value(d.type, d.initial);
    if (const std::string refusal = telemetry::refusal_of(setting, d.initial, text); !refusal.empty())
        throw std::invalid_argument(refusal);
    const telemetry::SettingEntry& entry =
        register_setting(context.telemetry().segment(), {.kind = SettingKind::tunable,
                                                         .type = d.type,
                                                         .role = d.role,
                                                         .min = d.min,
                                                         .max = d.max,
                                                         .step = d.step,
                                                         .word = d.initial,
                                                         .name = d.name,
                                                         .unit = d.unit,
                                                         .help = d.help,
                                                         .text = text,
                                                         .origin = d.origin,
                                                         .defined_at = d.where});
    word_ = &entry.word;
    version_ = &entry.version;
}

void TunableCell::watch(Telemetry& telemetry, std::function<void()> changed) const {
    telemetry.watchers_.emplace_back([version = version_, seen = version_->load(std::memory_order_relaxed),
                                      changed = std::move(changed)]() mutable {
        const std::uint64_t now = version->load(std::memory_order_acquire);
        if (now == seen) return;
        seen = now;
        changed();
    });
}

}  // namespace detail
}  // namespace signalbox
