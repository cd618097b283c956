#include "agent/group_reload.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <exception>

#include "agent/find_setting.hpp"

namespace signalbox {
namespace {

using configuration::Chosen;
using configuration::Composed;
using configuration::ComposedListener;
using configuration::context_name;
using configuration::Kind;
using configuration::Takes;
using wire::Severity;

constexpr std::size_t kMostErrorEvents = 20;

void copy_choice(const Chosen& from, Chosen& to, const std::string& name) {
    to.erase(name);
    if (const auto found = from.find(name); found != from.end()) to.insert(*found);
}

/// In a structure that is missing in one of the two: the structure is named, not each of its members.
bool is_within(const std::string& name, const std::vector<std::string>& sections) {
    return std::any_of(sections.begin(), sections.end(),
                       [&](const std::string& section) { return name.starts_with(section + '.'); });
}

}  // namespace

GroupReload::GroupReload(Telemetry& telemetry, const GroupSettings& settings, GroupOptions& options,
                         std::vector<std::shared_ptr<server::Listener>>& listeners)
    : telemetry_(telemetry),
      source_(*options.configuration),
      journal_(telemetry.segment(), options.quiet),
      options_(options),
      listeners_(listeners),
      running_(settings.composed()) {}

supervisor::Reloaded GroupReload::read_again() {
    changed_.clear();
    need_restart_.clear();
    Composed now;
    try {
        now = source_.read();
    } catch (const std::exception& error) {
        now.errors = {error.what()};
    }
    if (!now.errors.empty()) return refuse(now.errors);

    supervisor::Reloaded reloaded;
    const bool from_file = is_from_file(now.chosen, "workers");
    // Under autoscaling the number in the file is where to begin, and a changed one where to go on from.
    const bool changed = now.group.workers != running_.group.workers;
    if (changed || (from_file && !now.group.autoscale)) {
        reloaded.workers = now.group.workers;
        reloaded.workers_origin =
            shown_origin(origin_of(now, *configuration::find(configuration::group_settings(), "workers")));
    }
    take_group(now);
    compare_own(now);
    compare_listeners(now);
    for (const auto& bound : listeners_)
        if (const ComposedListener* listener = now.find(bound->options.name))
            take_listener(*bound, *listener);
    const std::string where = source_.path().empty() ? "The configuration" : source_.path();
    reloaded.text = fmt::format("{} was read again: {} settings changed.", where, changed_.size());
    journal_.say(Severity::info, "configuration_reloaded", reloaded.text);
    if (!need_restart_.empty())
        journal_.say(Severity::warning, "configuration_needs_restart",
                     fmt::format("Changed in {}, but as before until a restart: {}.", where,
                                 fmt::join(need_restart_, ", ")));
    return reloaded;
}

supervisor::Reloaded GroupReload::refuse(const std::vector<std::string>& errors) {
    supervisor::Reloaded reloaded;
    reloaded.refusal = fmt::format("The configuration stays as it was: {} error{}. {}", errors.size(),
                                   errors.size() == 1 ? "" : "s", errors.front());
    journal_.say(Severity::error, "configuration_refused",
                 fmt::format("{} has {} error{}; all stays as it was.", source_.path(), errors.size(),
                             errors.size() == 1 ? "" : "s"));
    for (std::size_t i = 0; i < errors.size() && i < kMostErrorEvents; ++i)
        journal_.say(Severity::error, "configuration_error", errors[i]);
    return reloaded;
}

void GroupReload::note_change(const std::string& name, const std::string& text) {
    changed_.push_back(name);
    journal_.say(Severity::info, "setting_changed", fmt::format("{}: {}", name, text));
}

void GroupReload::set_tunable(const std::string& name, const std::string& shown_name, std::uint64_t word,
                              const std::string& origin) {
    telemetry::Segment& segment = telemetry_.segment();
    const auto setting = find_setting(segment, shown_name);
    if (!setting) return;
    const bool same = setting->value && setting->value->word == word;
    if (same && setting->value->origin == shown_origin(origin)) return;
    const telemetry::Change change =
        telemetry::change_tunable(segment, setting->index, setting->type, word, shown_origin(origin));
    if (!change.refusal.empty())
        journal_.say(Severity::error, "setting_refused", change.refusal);
    else if (!same)
        note_change(name, fmt::format("{} before, {} now, from {}.", change.from, change.to, origin));
}

void GroupReload::take_group(const Composed& now) {
    for (const auto& row : configuration::group_settings()) {
        const auto value = row.get(now.group);
        const bool changed = value != row.get(running_.group);
        if (row.takes == Takes::at_restart) {
            if (changed) need_restart_.push_back(row.name);
            continue;
        }
        const std::string origin = origin_of(now, row);
        const bool from_file = is_from_file(now.chosen, row.name) || is_from_file(running_.chosen, row.name);
        if (row.takes == Takes::at_once && row.name != "workers" && (changed || from_file))
            set_tunable(row.name, context_name(row.name), std::get<std::uint64_t>(*value), origin);
        if (row.takes == Takes::with_new_workers && changed) {
            row.set(options_, *value);
            Context(telemetry_).setting(context_name(row.name), format(row, *value), shown_origin(origin));
            note_change(row.name, fmt::format("{} in new workers, from {}.", format(row, *value), origin));
        }
        row.set(running_.group, *value);
        copy_choice(now.chosen, running_.chosen, row.name);
    }
}

void GroupReload::compare_own(const Composed& now) {
    for (const auto& own : source_.code().own) {
        const auto value_in = [&](const Chosen& chosen) {
            const auto found = chosen.find(own.row.name);
            return found == chosen.end() ? own.code : found->second.value;
        };
        if (value_in(now.chosen) != value_in(running_.chosen)) need_restart_.push_back(own.row.name);
    }
}

void GroupReload::compare_listeners(const Composed& now) {
    for (const ComposedListener& listener : now.listeners)
        if (!running_.find(listener.listener.name))
            need_restart_.push_back(fmt::format("listeners.{} (it is new)", listener.listener.name));
    for (const ComposedListener& listener : running_.listeners)
        if (!now.find(listener.listener.name))
            need_restart_.push_back(fmt::format("listeners.{} (it is gone)", listener.listener.name));
}

void GroupReload::take_listener(server::Listener& bound, const ComposedListener& now) {
    const std::string& name = now.listener.name;
    const auto found =
        std::find_if(running_.listeners.begin(), running_.listeners.end(),
                     [&](const ComposedListener& listener) { return listener.listener.name == name; });
    if (found == running_.listeners.end()) return;
    std::vector<std::string> sections;  // that only a restart brings or takes
    for (const auto& row : configuration::listener_settings()) {
        if (is_within(row.name, sections)) continue;
        const std::string full_name = fmt::format("listeners.{}.{}", name, row.name);
        const auto value = row.get(now.listener);
        const bool changed = value != row.get(found->listener);
        if (row.takes == Takes::at_restart) {
            if (changed) need_restart_.push_back(full_name);
            if (changed && row.kind == Kind::section) sections.push_back(row.name);
            continue;
        }
        if (!value) continue;
        const std::string origin = origin_of(now, row, options_.origin);
        const std::string shown_name = listener_setting_name(bound.index, row.name);
        const bool from_file = is_from_file(now.chosen, row.name) || is_from_file(found->chosen, row.name);
        row.set(found->listener, *value);
        copy_choice(now.chosen, found->chosen, row.name);
        if (row.takes == Takes::at_once) {
            if (changed || from_file)
                set_tunable(full_name, shown_name, std::get<std::uint64_t>(*value), origin);
            continue;
        }
        if (!changed) continue;
        bound.options = found->listener.options;
        if (row.name == "backlog") take_backlog(bound);
        if (row.kind != Kind::section)
            Context(telemetry_).setting(shown_name, format(row, *value), shown_origin(origin));
        note_change(full_name, fmt::format("{} in new workers, from {}.", format(row, *value), origin));
    }
}

void GroupReload::take_backlog(const server::Listener& bound) {
    // Of a socket that listens already, this changes the length of its queue.
    ::listen(bound.socket, bound.options.backlog);
    telemetry_.segment().group().listeners[bound.index].backlog_limit.store(
        static_cast<std::uint32_t>(bound.options.backlog), std::memory_order_relaxed);
}

}  // namespace signalbox
