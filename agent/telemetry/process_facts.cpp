#include "agent/telemetry/process_facts.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ctime>
#include <fstream>
#include <span>
#include <sstream>
#include <string_view>

#include "agent/telemetry/build_id.hpp"
#include "agent/telemetry/process_status.hpp"
#include "agent/telemetry/redaction.hpp"

extern char** environ;

namespace signalbox::telemetry {
namespace {

std::string contents(const char* path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// As one would type it.
std::string quoted(const std::string& argument) {
    const bool plain =
        !argument.empty() && argument.find_first_of(" \t\r\n\"'\\$`*?;&|<>") == std::string::npos;
    return plain ? argument : "'" + argument + "'";
}

std::string command_line() {
    std::vector<std::string> arguments;
    std::istringstream all(contents("/proc/self/cmdline"));
    for (std::string argument; std::getline(all, argument, '\0');)
        arguments.push_back(argument);
    std::string line;
    for (const std::string& argument : redact_arguments(arguments))
        line += (line.empty() ? "" : " ") + quoted(argument);
    return line;
}

std::string executable() {
    std::array<char, 4096> path{};
    const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
    return length > 0 ? std::string(path.data(), static_cast<std::size_t>(length)) : std::string();
}

std::string hexadecimal(std::span<const std::byte> bytes) {
    std::string digits;
    for (const std::byte byte : bytes)
        digits += fmt::format("{:02x}", std::to_integer<unsigned>(byte));
    return digits;
}

std::string build_id() {
    std::string id;
    const auto look = [](dl_phdr_info* program, std::size_t, void* result) {
        for (int i = 0; i < program->dlpi_phnum; ++i) {
            const ElfW(Phdr)& header = program->dlpi_phdr[i];
            if (header.p_type != PT_NOTE) continue;
            const auto* notes = reinterpret_cast<const std::byte*>(program->dlpi_addr + header.p_vaddr);
            auto& found = *static_cast<std::string*>(result);
            if (found = hexadecimal(build_id_in({notes, header.p_memsz})); !found.empty()) break;
        }
        return 1;  // the program itself comes first
    };
    ::dl_iterate_phdr(look, &id);
    return id;
}

std::string limit(__rlimit_resource_t resource) {
    const auto number = [](rlim_t value) {
        return value == RLIM_INFINITY ? "unlimited" : std::to_string(value);
    };
    rlimit limits{};
    if (::getrlimit(resource, &limits) != 0) return {};
    if (limits.rlim_cur == limits.rlim_max) return number(limits.rlim_cur);
    return fmt::format("{} (at most {})", number(limits.rlim_cur), number(limits.rlim_max));
}

std::string started() {
    const auto status = process_status(::getpid());
    if (!status) return {};
    const double seconds =
        static_cast<double>(status->start_ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
    timespec since_boot{};
    ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
    const double age = static_cast<double>(since_boot.tv_sec) - seconds;
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}",
                       fmt::gmtime(std::time(nullptr) - static_cast<std::time_t>(age)));
}

}  // namespace

Facts process_facts() {
    utsname system{};
    ::uname(&system);
    Facts facts = {{"command_line", command_line()},
                   {"executable", executable()},
                   {"build_id", build_id()},
                   {"host", system.nodename},
                   {"kernel", fmt::format("{} {}", system.sysname, system.release)},
                   {"started", started()},
                   {"limit_open_files", limit(RLIMIT_NOFILE)},
                   {"limit_address_space", limit(RLIMIT_AS)},
                   {"limit_core", limit(RLIMIT_CORE)},
                   {"signalbox_version", SIGNALBOX_VERSION},
                   {"libc_version", ::gnu_get_libc_version()},
                   {"compiler", __VERSION__}};
    std::erase_if(facts, [](const auto& fact) { return fact.second.empty(); });
    return facts;
}

Facts environment_facts() {
    Facts facts;
    for (char** variable = environ; variable && *variable; ++variable) {
        const std::string_view text = *variable;
        const std::size_t equals = text.find('=');
        if (equals == std::string_view::npos || equals == 0) continue;
        const std::string_view name = text.substr(0, equals);
        facts.emplace_back(name, redact_value(name, text.substr(equals + 1)));
    }
    std::sort(facts.begin(), facts.end());
    return facts;
}

}  // namespace signalbox::telemetry
