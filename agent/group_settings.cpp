#include "agent/group_settings.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "agent/configuration/source.hpp"
#include "agent/telemetry/layout.hpp"

namespace signalbox {
namespace {

using configuration::Composed;
using configuration::ComposedListener;
using configuration::context_name;
using configuration::group_settings;
using configuration::Kind;
using configuration::listener_settings;
using configuration::Takes;
using std::chrono::milliseconds;

Composed composed_from(const GroupOptions& given) {
    if (given.configuration) return given.configuration->first();
    Composed composed;
    composed.group = given;
    return composed;
}

template <class Options>
const configuration::Setting<Options>& row_of(const std::vector<configuration::Setting<Options>>& table,
                                              std::string_view name) {
    const auto* row = configuration::find(table, name);
    if (!row) throw std::logic_error(fmt::format("the table of settings has no '{}'", name));
    return *row;
}

template <class T>
Tunable<T> make_tunable(Context context, const std::string& name, const configuration::Row& row,
                        const configuration::Value& value, const std::string& origin) {
    using Coding = detail::TunableCoding<T>;
    return {context,
            name,
            Coding::decode(std::get<std::uint64_t>(value)),
            {.min = Coding::decode(row.min),
             .max = Coding::decode(row.max),
             .unit = row.unit,
             .help = row.help,
             .origin = shown_origin(origin)}};
}

}  // namespace

std::string listener_setting_name(unsigned listener, const std::string& name) {
    return fmt::format("listener_{}_{}", listener, context_name(name));
}

std::string shown_origin(const std::string& origin) {
    constexpr std::size_t kMost = telemetry::kSettingOriginBytes;
    return origin.size() <= kMost ? origin : "..." + origin.substr(origin.size() - (kMost - 3));
}

template <class T>
Tunable<T> GroupSettings::tunable(std::string_view name) {
    const auto& row = row_of(group_settings(), name);
    return make_tunable<T>(context, context_name(row.name), row, *row.get(composed_.group),
                           origin_of(composed_, row));
}

GroupSettings::GroupSettings(Telemetry& telemetry, const GroupOptions& given)
    : composed_(composed_from(given)),
      context(telemetry),
      drain_deadline(tunable<milliseconds>("drain_deadline")),
      start_deadline(tunable<milliseconds>("start_deadline")),
      upgrade_deadline(tunable<milliseconds>("upgrade_deadline")),
      limits{.memory = tunable<Bytes>("worker_memory_limit"),
             .open_files = tunable<std::int64_t>("worker_open_files_limit"),
             .requests = tunable<std::int64_t>("worker_request_limit"),
             .age = tunable<std::chrono::seconds>("worker_age_limit"),
             .lag = tunable<milliseconds>("worker_lag_limit")},
      loops{.spin = tunable<milliseconds>("spin_threshold"), .wedge = tunable<milliseconds>("wedge_timeout")},
      scaling{.on = tunable<bool>("autoscale"),
              .min = tunable<std::int64_t>("min_workers"),
              .queue_target = tunable<milliseconds>("autoscale_queue_target"),
              .up_after = tunable<milliseconds>("autoscale_up_after"),
              .down_after = tunable<milliseconds>("autoscale_down_after"),
              .hold = tunable<milliseconds>("autoscale_hold"),
              .memory_limit = tunable<Bytes>("total_memory_limit")} {
    for (const auto& row : group_settings()) {
        const bool is_tunable = row.takes == Takes::at_once && row.name != "workers";
        const bool unused = row.name.starts_with("agent_tls.") && given.agent_tls.address.empty();
        if (!is_tunable && !unused)
            context.setting(context_name(row.name), format(row, *row.get(composed_.group)),
                            shown_origin(origin_of(composed_, row)));
    }
    if (!given.configuration) return;
    for (const auto& own : given.configuration->code().own) {
        const auto found = composed_.chosen.find(own.row.name);
        const bool chosen = found != composed_.chosen.end();
        context.setting(context_name(own.row.name), format(own.row, chosen ? found->second.value : own.code),
                        chosen ? shown_origin(found->second.origin) : "code");
    }
}

ComposedListener GroupSettings::composed_of(const std::string& address,
                                            const ListenerOptions& options) const {
    const ComposedListener* known = options.name.empty() ? nullptr : composed_.find(options.name);
    return {{.name = options.name, .address = address, .options = options},
            known ? known->chosen : configuration::Chosen{}};
}

void GroupSettings::tell(const server::Listener& listener) {
    const ComposedListener composed = composed_of(listener.address, listener.options);
    const std::string& in_code = composed_.group.origin;
    if (!listener.options.name.empty())
        context.setting(listener_setting_name(listener.index, "name"), listener.options.name, in_code);
    for (const auto& row : listener_settings()) {
        const auto value = row.get(composed.listener);
        if (!value || row.kind == Kind::section || row.takes == Takes::at_once) continue;
        context.setting(listener_setting_name(listener.index, row.name), format(row, *value),
                        shown_origin(origin_of(composed, row, in_code)));
    }
}

Tunable<milliseconds> GroupSettings::queue_deadline(unsigned listener, const ListenerOptions& options) {
    const auto& row = row_of(listener_settings(), "queue_deadline");
    const ComposedListener composed = composed_of({}, options);
    return make_tunable<milliseconds>(context, listener_setting_name(listener, row.name), row,
                                      *row.get(composed.listener),
                                      origin_of(composed, row, composed_.group.origin));
}

}  // namespace signalbox
