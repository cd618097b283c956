#include "agent/command_line.hpp"

#include <fmt/format.h>
#include <sysexits.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <stdexcept>

#include "agent/configuration/suggestion.hpp"
#include "agent/configuration/table.hpp"
#include "common/wire/readable.hpp"

namespace signalbox {
namespace {

using configuration::Choice;
using configuration::Kind;
using configuration::ListenerChoices;
using configuration::Row;

constexpr const char* kConfiguration = "Configuration";
constexpr const char* kGroup = "Settings of the group";
constexpr const char* kOwn = "Settings of this server";
constexpr const char* kListeners = "Settings of all listeners (for one alone: --listener NAME.SETTING=VALUE)";

/// "worker_age_limit" → "--worker-age-limit", with the other name that the row has.
std::string flags_of(const Row& row) {
    std::string flags = "--" + row.name;
    std::replace_if(
        flags.begin(), flags.end(), [](char c) { return c == '_' || c == '.'; }, '-');
    if (!row.also.empty()) flags += ",--" + row.also;
    return flags;
}

class Parser {
public:
    Parser(const configuration::Code& code, const HelpTexts& texts, CommandLine& line)
        : code_(code), line_(line), app_(texts.description, code.group.name) {
        app_.footer(texts.footer);
        app_.option_defaults()->group(kConfiguration);
        app_.add_option("--config", line.file,
                        "Read this file (JSON with comments); what is said here wins over it")
            ->type_name("FILE");
        app_.add_flag("--check-config", line.check,
                      "Say whether the configuration is valid, with all that is wrong");
        app_.add_flag("--print-config", line.print, "Print what would hold, and where each value was chosen");
        for (const auto& own : code.own)
            add(own.row, kOwn, format(own.row, own.code), line.layer.choices);
        for (const auto& row : configuration::group_settings())
            add(row, kGroup, format(row, *row.get(code.group)), line.layer.choices);
        add_listen();
        for (const auto& row : configuration::listener_settings())
            if (row.name != "address") add(row, kListeners, {}, line.layer.of_all_listeners);
    }

    std::optional<int> parse(int argc, const char* const* argv) {
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ExtrasError&) {
            for (const std::string& extra : app_.remaining())
                errors_.push_back(
                    fmt::format("there is no option '{}'{}", wire::escaped(extra), suggest(extra)));
        } catch (const CLI::ParseError& error) {
            return app_.exit(error) == 0 ? 0 : EX_USAGE;
        }
        for (const std::string& error : errors_)
            fmt::print(stderr, "{}: {}\n", code_.group.name, error);
        if (!errors_.empty()) return EX_USAGE;
        if (!line_.file.empty()) line_.file = std::filesystem::absolute(line_.file).string();
        return std::nullopt;
    }

private:
    void add(const Row& row, const char* section, const std::string& value, std::vector<Choice>& choices) {
        const std::string flags = flags_of(row);
        const std::string name = flags.substr(0, flags.find(','));
        const std::string help = value.empty() ? row.help : fmt::format("{} ({})", row.help, value);
        CLI::Option* option = nullptr;
        if (row.type == detail::SettingType::boolean) {
            option = app_.add_flag_function(
                flags,
                [this, &row, name, &choices](std::int64_t count) {
                    take(row, name, count > 0 ? "true" : "false", choices);
                },
                help);
        } else if (row.kind == Kind::list) {
            const auto take_list = [this, &row, name, &choices](const std::vector<std::string>& texts) {
                take(row, name, fmt::format("{}", fmt::join(texts, ",")), choices);
            };
            option = app_.add_option_function<std::vector<std::string>>(flags, take_list, help)
                         ->allow_extra_args(false);
        } else {
            option = app_.add_option_function<std::string>(
                flags,
                [this, &row, name, &choices](const std::string& text) { take(row, name, text, choices); },
                help);
            option->type_name(std::string(placeholder(row)));
        }
        option->group(section);
    }

    void take(const Row& row, const std::string& option, const std::string& text,
              std::vector<Choice>& choices) {
        try {
            choices.push_back(
                {row.name, configuration::parse(row, text), "command line " + option, "command line"});
        } catch (const std::invalid_argument& error) {
            // It begins with the setting's name.
            errors_.push_back(option + std::string(error.what()).substr(row.name.size()));
        }
    }

    void add_listen() {
        const char* help =
            code_.any_listeners
                ? "Listen here instead: 127.0.0.1:8080, [::1]:8080, *:8080 or unix:PATH; port 0 takes a\n"
                  "free one. May be given several times, also as NAME=ADDRESS"
                : "Where to listen, as NAME=ADDRESS, or in the order of the server's listeners:\n"
                  "127.0.0.1:8080, [::1]:8080, *:8080 or unix:PATH; port 0 takes a free one";
        app_.add_option_function<std::vector<std::string>>(
                "--listen", [this](const std::vector<std::string>& texts) { take_listen(texts); }, help)
            ->type_name("ADDRESS")
            ->allow_extra_args(false)
            ->group("Listeners");
        app_.add_option_function<std::vector<std::string>>(
                "--listener",
                [this](const std::vector<std::string>& texts) {
                    for (const std::string& text : texts)
                        take_listener(text);
                },
                "A setting of one listener, by its name or its number from 0")
            ->type_name("NAME.SETTING=VALUE")
            ->allow_extra_args(false)
            ->group("Listeners");
    }

    void take_listen(const std::vector<std::string>& texts) {
        const auto& row = *configuration::find(configuration::listener_settings(), "address");
        line_.layer.lists_listeners = true;
        for (const std::string& text : texts) {
            const std::string name = text.substr(0, std::min(text.find('='), text.size()));
            const bool named = name != text && configuration::is_listener_name(name);
            ListenerChoices listener{.name = named ? name : "",
                                     .index = line_.layer.listeners.size(),
                                     .place = "--listen " + wire::escaped(text)};
            take(row, "--listen", named ? text.substr(name.size() + 1) : text, listener.choices);
            line_.layer.listeners.push_back(std::move(listener));
        }
    }

    void take_listener(const std::string& text) {
        const std::size_t dot = text.find('.');
        const std::size_t equals = text.find('=');
        if (dot == std::string::npos || equals == std::string::npos || dot > equals) {
            errors_.push_back(
                fmt::format("--listener: '{}' is not of the form NAME.SETTING=VALUE; try 'web.backlog=512'",
                            wire::escaped(text)));
            return;
        }
        const std::string name = text.substr(0, dot);
        const std::string setting = text.substr(dot + 1, equals - dot - 1);
        ListenerChoices listener{.name = name, .place = "--listener " + wire::escaped(text), .lists = false};
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), listener.index);
        if (error == std::errc() && end == name.data() + name.size()) listener.name.clear();
        const auto* row = configuration::find(configuration::listener_settings(), setting);
        if (!row) {
            std::vector<std::string> known;
            for (const auto& each : configuration::listener_settings())
                known.push_back(each.name);
            errors_.push_back(fmt::format("--listener: there is no setting '{}'{}", wire::escaped(setting),
                                          configuration::suggestion(setting, known)));
            return;
        }
        take(*row, "--listener " + name + "." + setting, text.substr(equals + 1), listener.choices);
        line_.layer.listeners.push_back(std::move(listener));
    }

    std::string suggest(const std::string& extra) const {
        std::vector<std::string> known;
        for (const CLI::Option* option : app_.get_options())
            for (const std::string& name : option->get_lnames())
                known.push_back("--" + name);
        const std::string near = configuration::suggestion(extra.substr(0, extra.find('=')), known);
        return near.empty() ? "; --help shows all" : near;
    }

    const configuration::Code& code_;
    CommandLine& line_;
    CLI::App app_;
    std::vector<std::string> errors_;
};

}  // namespace

std::optional<int> read_command_line(int argc, const char* const* argv, const configuration::Code& code,
                                     const HelpTexts& texts, CommandLine& line) {
    return Parser(code, texts, line).parse(argc, argv);
}

}  // namespace signalbox
