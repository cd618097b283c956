#include "agent/kept_choices.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "agent/find_setting.hpp"
#include "agent/telemetry/view.hpp"

namespace signalbox {
namespace {

using telemetry::Setting;
using telemetry::SettingKind;
using wire::Severity;

/// By whom, as Arbiter and Scaling write it.
bool while_it_ran(std::string_view origin) {
    constexpr std::array<std::string_view, 4> kBy{"operator ", "viewer ", "signal ", "autoscaling"};
    return std::any_of(kBy.begin(), kBy.end(), [&](std::string_view by) { return origin.starts_with(by); });
}

/// Why not; "" if it has it now.
std::string give(telemetry::Segment& segment, const Setting& chosen) {
    const auto here = find_setting(segment, chosen.name);
    if (!here) return chosen.name + " does not exist any more";
    return telemetry::change_tunable(segment, here->index, chosen.type, chosen.value->word,
                                     chosen.value->origin)
        .refusal;
}

}  // namespace

KeptChoices keep_choices(telemetry::Segment& segment, int predecessor, const supervisor::Journal& journal) {
    KeptChoices choices;
    try {
        const telemetry::SegmentView before(predecessor);
        for (const Setting& setting : before.settings()) {
            if (!setting.value || !while_it_ran(setting.value->origin)) continue;
            const std::string what =
                fmt::format("{} {} ({})", setting.name, setting.value->text, setting.value->origin);
            if (setting.kind == SettingKind::setting && setting.name == "workers") {
                choices.workers = std::min(before.group().target_workers, segment.geometry().slot_count);
                telemetry::note_setting(segment, setting.name, std::to_string(choices.workers),
                                        setting.value->origin);
                choices.kept.push_back(what);
            } else if (setting.kind == SettingKind::tunable) {
                const std::string refusal = give(segment, setting);
                if (refusal.empty())
                    choices.kept.push_back(what);
                else
                    journal.say(Severity::warning, "choice_left_behind",
                                fmt::format("Not as before the upgrade, {}: {}.", what, refusal));
            }
        }
    } catch (const std::exception& error) {
        journal.say(Severity::warning, "choices_left_behind",
                    fmt::format("What was set in the group before this one stays behind: {}.", error.what()));
    }
    return choices;
}

}  // namespace signalbox
