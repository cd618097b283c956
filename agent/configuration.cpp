#include "signalbox/configuration.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <algorithm>
#include <stdexcept>

#include "agent/command_line.hpp"
#include "agent/configuration/source.hpp"
#include "agent/thorough_checks.hpp"

namespace signalbox {

using configuration::Composed;
using configuration::ComposedListener;
using configuration::OwnSetting;

struct Configuration::Impl {
    void complain(const std::vector<std::string>& errors) const {
        for (const std::string& error : errors)
            fmt::print(stderr, "{}: {}\n", code.group.name, error);
    }
    std::optional<int> check(const CommandLine& line) const;
    void take(const Composed& composed);

    configuration::Code code;
    HelpTexts texts;
    std::shared_ptr<const configuration::Source> source;
    GroupOptions group;
    std::vector<ConfiguredListener> listeners;
};

Configuration::Configuration(GroupOptions code, HelpTexts texts) : impl_(std::make_unique<Impl>()) {
    impl_->code.group = std::move(code);
    impl_->texts = std::move(texts);
}

Configuration::~Configuration() = default;

void Configuration::listener(std::string name, std::string address, ListenerOptions code) {
    auto& all = impl_->code.listeners;
    if (!configuration::is_listener_name(name))
        throw std::invalid_argument(
            fmt::format("listener '{}': use a to z, digits and _, starting with a letter; try 'web'", name));
    if (std::any_of(all.begin(), all.end(),
                    [&](const ConfiguredListener& other) { return other.name == name; }))
        throw std::invalid_argument(
            fmt::format("listener '{}' is there already; give this one another name", name));
    all.push_back({.name = std::move(name), .address = std::move(address), .options = std::move(code)});
}

void Configuration::any_listeners() {
    impl_->code.any_listeners = true;
}

void Configuration::setting(std::string name, SettingVariable variable, std::string help) {
    auto& own = impl_->code.own;
    if (name == "listeners" || configuration::find(configuration::group_settings(), name) ||
        std::any_of(own.begin(), own.end(), [&](const OwnSetting& other) { return other.row.name == name; }))
        throw std::invalid_argument(
            fmt::format("setting '{}' is there already; give this one another name", name));
    own.push_back(configuration::own_setting(name, variable, help));
}

std::optional<int> Configuration::Impl::check(const CommandLine& line) const {
    const Composed& composed = source->first();
    std::vector<std::string> errors = composed.errors;
    if (line.check) {
        const auto outside = problems_outside(composed);
        errors.insert(errors.end(), outside.begin(), outside.end());
    }
    complain(errors);
    if (!errors.empty()) return line.file.empty() && !line.check ? EX_USAGE : EX_CONFIG;
    if (line.check) {
        fmt::print("configuration {} is valid\n", line.file.empty() ? "without a file" : line.file);
        return EX_OK;
    }
    if (!line.print) return std::nullopt;
    fmt::print("{}", configuration::in_json(code, composed));
    return EX_OK;
}

void Configuration::Impl::take(const Composed& composed) {
    group = composed.group;
    group.configuration = source;
    listeners.clear();
    for (const ComposedListener& listener : composed.listeners)
        listeners.push_back(listener.listener);
    for (const OwnSetting& own : code.own)
        if (const auto chosen = composed.chosen.find(own.row.name); chosen != composed.chosen.end())
            own.write(chosen->second.value);
}

std::optional<int> Configuration::read(int argc, const char* const* argv) {
    CommandLine line;
    if (const auto status = read_command_line(argc, argv, impl_->code, impl_->texts, line)) return status;
    impl_->source = std::make_shared<const configuration::Source>(impl_->code, line.file, line.layer);
    if (const auto status = impl_->check(line)) return status;
    impl_->take(impl_->source->first());
    return std::nullopt;
}

const GroupOptions& Configuration::group() const {
    return impl_->group;
}

const std::vector<ConfiguredListener>& Configuration::listeners() const {
    return impl_->listeners;
}

const ConfiguredListener& Configuration::listener(std::string_view name) const {
    for (const ConfiguredListener& listener : impl_->listeners)
        if (listener.name == name) return listener;
    throw std::out_of_range(fmt::format("there is no listener '{}'", name));
}

int Configuration::run(int argc, const char* const* argv, const std::function<void(Group&)>& prepare) {
    const auto complain = [this](const std::exception& error) { impl_->complain({error.what()}); };
    try {
        if (const auto status = read(argc, argv)) return *status;
        Group made(group());
        prepare(made);
        return made.run();
    } catch (const std::invalid_argument& error) {
        complain(error);
        return EX_USAGE;
    } catch (const std::exception& error) {
        complain(error);
        return EX_OSERR;
    }
}

}  // namespace signalbox
