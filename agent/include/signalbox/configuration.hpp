// How a server is set up: what its code says, what a file says, and what the command line says, in this order; what
// comes later wins. One table of settings stands behind all three, and behind the help texts.
//
//     int main(int argc, char** argv) {
//         signalbox::Configuration configuration({.name = "hello", .agent_socket = "hello.sock"});
//         configuration.listener("web", "127.0.0.1:8080");
//         return configuration.run(argc, argv, [&](signalbox::Group& group) {
//             signalbox::Router router;
//             router.get("/hello", [](const signalbox::Request&) { return signalbox::Response::text("Hello!\n"); });
//             const signalbox::ConfiguredListener& web = configuration.listener("web");
//             group.http(web.address, std::move(router), web.options);
//         });
//     }
//
// Such a server takes
//
//     hello --config /etc/hello.json --workers 4 --listener web.queue_capacity=100
//     hello --config /etc/hello.json --check-config    # "configuration /etc/hello.json is valid", or all that is wrong
//     hello --config /etc/hello.json --print-config    # what would hold, and where each value was chosen
//     hello --help                                     # all settings
//
// The file is JSON with comments. Its names are those of the members of GroupOptions and ListenerOptions; sizes are
// "512MiB", durations "10s" or "250ms":
//
//     {
//         "workers": 4,                 // as many as there are processors
//         "worker_memory_limit": "512MiB",
//         "agent_tls": {"address": "0.0.0.0:9443", "certificate": "/etc/hello/agent.pem", ... },
//         "listeners": {
//             "web": {"address": "*:8443", "limits": {"body": "1MiB"}, "tls": {"certificate": ..., "key": ...}}
//         }
//     }
//
// ("listeners" may also be a list, in the order in which the code names them; "tls": null takes out what the code says.)
// Everything in it that is wrong is reported at once, each with its place and a way out:
//
//     /etc/hello.json:2:16: workers: '0' is below its minimum of 1
//     /etc/hello.json:3:5: there is no setting 'worker_memroy_limit'; did you mean 'worker_memory_limit'?
//
// SIGHUP, or `signalboxctl AGENT reload`, makes the group read the file again. If anything in it is wrong, nothing
// changes, and events (configuration_refused, configuration_error) say why. Otherwise tunables that the file names take
// its values at once, also when an operator has set others meanwhile; `workers` scales; limits, compression and queue
// capacities hold in new workers, and all workers are cycled. The event configuration_needs_restart names what has
// changed but cannot hold before a restart: it stays as it was. What the command line says wins here, too.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "signalbox/group.hpp"

namespace signalbox {

struct ConfiguredListener {
    std::string name{};     ///< a to z, digits and _: "web"
    std::string address{};  ///< as in Group::http
    ListenerOptions options{};
};

/// A variable of the server's own that a setting is read into. Sizes, durations and so on are written as in the file.
using SettingVariable = std::variant<bool*, std::int64_t*, Bytes*, std::chrono::milliseconds*,
                                     std::chrono::seconds*, std::string*, std::vector<std::string>*>;

/// What --help says besides the settings.
struct HelpTexts {
    std::string description{};  ///< what the server is for
    std::string footer{};       ///< examples
};

/// Used before the group exists, by one thread.
class Configuration {
public:
    /// `code`: what holds unless the file or the command line says otherwise.
    explicit Configuration(GroupOptions code = {}, HelpTexts texts = {});
    ~Configuration();
    Configuration(const Configuration&) = delete;
    Configuration& operator=(const Configuration&) = delete;

    /// A listener of the server. Throws std::invalid_argument if the name is none, or taken.
    void listener(std::string name, std::string address, ListenerOptions code = {});
    /// For servers that serve the same on all listeners: the file and the command line may say other ones instead.
    void any_listeners();

    /// A setting of the server's own, beside the group's: in the file `name`, on the command line --name. The variable
    /// holds the code's value; read() writes to it. Shown in the Context; a new value needs a restart. Throws
    /// std::invalid_argument if the name is taken.
    void setting(std::string name, SettingVariable variable, std::string help);

    /// Reads the command line and the file that it names. What is returned is the status to end with at once: 0 after
    /// --help, --print-config, or --check-config when all is well; EX_USAGE (64) or EX_CONFIG (78) after messages on stderr.
    std::optional<int> read(int argc, const char* const* argv);

    /// After read(): what holds.
    const GroupOptions& group() const;
    const std::vector<ConfiguredListener>& listeners() const;
    /// Throws std::out_of_range if there is none of that name.
    const ConfiguredListener& listener(std::string_view name) const;

    /// All of it: read(), a Group, `prepare` (serve something on it), Group::run(). Returns the exit status; what is
    /// thrown is said on stderr (std::invalid_argument: EX_USAGE, others: EX_OSERR).
    int run(int argc, const char* const* argv, const std::function<void(Group&)>& prepare);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace signalbox
