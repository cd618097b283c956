#include "agent/supervisor/program.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "agent/supervisor/handover.hpp"

namespace signalbox::supervisor {
namespace {

/// A watchdog's pid is that of the first process; without one, the period is for whoever reads it.
constexpr std::array<std::string_view, 5> kOwnVariables = {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
                                                           "WATCHDOG_PID", kHandoverVariable};

std::string working_directory() {
    std::string text(4096, '\0');
    if (!::getcwd(text.data(), text.size())) return "/";
    text.resize(std::strlen(text.c_str()));
    return text;
}

std::vector<std::string> own_arguments() {
    std::string text;
    const int file = ::open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    std::array<char, 4096> part;
    for (ssize_t length; file >= 0 && (length = ::read(file, part.data(), part.size())) > 0;)
        text.append(part.data(), static_cast<std::size_t>(length));
    if (file >= 0) ::close(file);
    std::vector<std::string> arguments;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\0', begin), text.size());
        arguments.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return arguments;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> all;
    for (const std::string& string : strings)
        all.push_back(const_cast<char*>(string.c_str()));
    all.push_back(nullptr);
    return all;
}

}  // namespace

Program Program::of_this_process() {
    Program program;
    program.directory = working_directory();
    program.arguments = own_arguments();
    // The name that execve() was given, whatever has happened to the file since.
    const auto* given = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
    program.path = given ? given : "";
    if (!program.path.empty() && program.path.front() != '/')
        program.path = program.directory + "/" + program.path;
    if (program.arguments.empty()) program.arguments.push_back(program.path);
    for (char** variable = environ; *variable; ++variable) {
        const std::string_view text = *variable;
        const std::string_view name = text.substr(0, text.find('='));
        if (std::find(kOwnVariables.begin(), kOwnVariables.end(), name) == kOwnVariables.end())
            program.environment.emplace_back(text);
    }
    return program;
}

std::string Program::obstacle() const {
    struct stat status {};
    if (path.empty()) return "it is not known how this program was started";
    if (::stat(path.c_str(), &status) != 0) return fmt::format("{}: {}", path, std::strerror(errno));
    if (!S_ISREG(status.st_mode)) return path + " is no file";
    if (::access(path.c_str(), X_OK) != 0) return path + " is not executable";
    if (::access(directory.c_str(), X_OK) != 0)
        return fmt::format("its working directory {}: {}", directory, std::strerror(errno));
    return {};
}

std::string Program::execute(const std::string& variable) const {
    std::vector<std::string> with_variable = environment;
    with_variable.push_back(variable);
    if (::chdir(directory.c_str()) != 0)
        return fmt::format("its working directory {}: {}", directory, std::strerror(errno));
    ::execve(path.c_str(), pointers(arguments).data(), pointers(with_variable).data());
    return fmt::format("{}: {}", path, std::strerror(errno));
}

}  // namespace signalbox::supervisor
