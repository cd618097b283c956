#include "agent/configuration/composed.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "agent/configuration/checks.hpp"
#include "agent/telemetry/layout.hpp"

namespace signalbox::configuration {
namespace {

class Composer {
public:
    explicit Composer(const Code& code) : code_(code) {
        result_.group = code.group;
        for (const ConfiguredListener& listener : code.listeners)
            result_.listeners.push_back({listener, {}});
    }

    void add(const Layer& layer) {
        for (const Choice& choice : layer.choices) {
            if (const auto* row = configuration::find(group_settings(), choice.name))
                row->set(result_.group, choice.value);
            result_.chosen[choice.name] = choice;
        }
        if (layer.lists_listeners && code_.any_listeners) replace_listeners(layer);
        for (ComposedListener& listener : result_.listeners)
            choose(listener, layer.of_all_listeners);
        for (const ListenerChoices& entry : layer.listeners)
            if (ComposedListener* listener = find(entry))
                choose(*listener, entry.choices);
            else
                result_.errors.push_back(fmt::format("{}: {}", entry.place, no_such(entry)));
    }

    Composed finish() {
        for (ComposedListener& listener : result_.listeners)
            listener.listener.options.name = listener.listener.name;
        for (const Problem& problem : problems_of(result_.group))
            complain(result_.chosen, problem, {});
        for (const ComposedListener& listener : result_.listeners)
            for (const Problem& problem : problems_of(listener.listener))
                complain(listener.chosen, problem, fmt::format("listeners.{}.", listener.listener.name));
        for (std::size_t i = 0; i < result_.listeners.size(); ++i)
            for (std::size_t j = 0; j < i; ++j)
                if (result_.listeners[i].listener.name == result_.listeners[j].listener.name)
                    result_.errors.push_back(
                        fmt::format("listeners: two are called '{}'; give one another name",
                                    result_.listeners[i].listener.name));
        if (result_.listeners.size() > telemetry::kMaxListeners)
            result_.errors.push_back(fmt::format("listeners: {} are too many; a group has at most {}",
                                                 result_.listeners.size(), telemetry::kMaxListeners));
        return std::move(result_);
    }

private:
    static void choose(ComposedListener& listener, const std::vector<Choice>& choices) {
        for (const Choice& choice : choices) {
            if (const auto* row = configuration::find(listener_settings(), choice.name))
                row->set(listener.listener, choice.value);
            listener.chosen[choice.name] = choice;
        }
    }

    ComposedListener* find(const ListenerChoices& entry) {
        auto& all = result_.listeners;
        if (entry.name.empty()) return entry.index < all.size() ? &all[entry.index] : nullptr;
        const auto found = std::find_if(all.begin(), all.end(), [&](const ComposedListener& listener) {
            return listener.listener.name == entry.name;
        });
        return found == all.end() ? nullptr : &*found;
    }

    /// Those that are listed take the place of those before, whose values they keep where they say nothing else.
    void replace_listeners(const Layer& layer) {
        std::vector<ComposedListener> listed;
        for (const ListenerChoices& entry : layer.listeners) {
            if (!entry.lists) continue;
            const ComposedListener* before = find(entry);
            listed.push_back(before ? *before : ComposedListener{});
            std::string& name = listed.back().listener.name;
            if (!entry.name.empty()) name = entry.name;
            if (name.empty()) name = fmt::format("listener_{}", listed.size() - 1);
        }
        result_.listeners = std::move(listed);
    }

    std::string no_such(const ListenerChoices& entry) const {
        std::vector<std::string> known;
        for (const ComposedListener& listener : result_.listeners)
            known.push_back(listener.listener.name);
        const std::string which = entry.name.empty() ? fmt::format("{}", entry.index) : entry.name;
        return fmt::format("there is no listener '{}'; there are: {}", which, fmt::join(known, ", "));
    }

    /// The place is that of the setting, of what it does not go with, or of its section; of what nobody has chosen, there is none.
    void complain(const Chosen& chosen, const Problem& problem, const std::string& prefix) {
        const std::string section = problem.setting.substr(0, problem.setting.find('.'));
        auto found = chosen.find(problem.setting);
        if (found == chosen.end()) found = chosen.find(problem.other);
        if (found == chosen.end())
            found = std::find_if(chosen.begin(), chosen.end(),
                                 [&](const auto& other) { return other.first.starts_with(section); });
        const std::string place = found == chosen.end() ? std::string() : found->second.place + ": ";
        result_.errors.push_back(fmt::format("{}{}{}: {}", place, prefix, problem.setting, problem.text));
    }

    const Code& code_;
    Composed result_;
};

const std::string* origin_in(const Chosen& chosen, const std::string& name) {
    const auto found = chosen.find(name);
    return found == chosen.end() ? nullptr : &found->second.origin;
}

}  // namespace

const ComposedListener* Composed::find(std::string_view listener) const {
    for (const ComposedListener& each : listeners)
        if (each.listener.name == listener) return &each;
    return nullptr;
}

Composed compose(const Code& code, const std::vector<Layer>& layers) {
    Composer composer(code);
    for (const Layer& layer : layers)
        composer.add(layer);
    return composer.finish();
}

std::string origin_of(const Composed& composed, const Setting<GroupOptions>& row) {
    if (const std::string* origin = origin_in(composed.chosen, row.name)) return *origin;
    return row.get(composed.group) == row.get(GroupOptions{}) ? "default" : composed.group.origin;
}

std::string origin_of(const ComposedListener& listener, const Setting<ConfiguredListener>& row,
                      const std::string& in_code) {
    if (const std::string* origin = origin_in(listener.chosen, row.name)) return *origin;
    ConfiguredListener usual;
    // Of what lies in a structure that is optional, the default is what the structure is made with.
    const std::size_t dot = row.name.find('.');
    const auto* section =
        dot == std::string::npos ? nullptr : find(listener_settings(), row.name.substr(0, dot));
    if (section) section->set(usual, std::uint64_t{1});
    return row.get(listener.listener) == row.get(usual) ? "default" : in_code;
}

bool is_from_file(const Chosen& chosen, std::string_view name) {
    const auto found = chosen.find(name);
    return found != chosen.end() && found->second.place.find(':') != std::string::npos;
}

OwnSetting own_setting(const std::string& name, SettingVariable variable, const std::string& help) {
    return std::visit(
        [&](auto* target) {
            using T = std::remove_pointer_t<decltype(target)>;
            OwnSetting own{.row = Row(name, {.help = help})};
            describe<T>(own.row);
            own.code = to_value(own.row, *target);
            own.write = [target, row = own.row](const Value& value) { from_value(row, *target, value); };
            return own;
        },
        variable);
}

}  // namespace signalbox::configuration
