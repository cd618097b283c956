#include "tests/bench/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>
#include <thread>

namespace bench {

namespace {

struct ProcessTimes {
    pid_t parent = 0;
    double seconds = 0;  ///< its own and those of the children it has waited for
};

/// From /proc/PID/stat (proc(5)), whose second field may hold any characters but ends with the last ')'.
std::optional<ProcessTimes> times_of(const std::string& pid) {
    std::ifstream file("/proc/" + pid + "/stat");
    std::string line;
    if (!std::getline(file, line)) return std::nullopt;
    std::istringstream fields(line.substr(line.rfind(')') + 1));
    std::string state;
    ProcessTimes times;
    fields >> state >> times.parent;
    std::string skipped;
    for (int field = 5; field <= 13; ++field)
        fields >> skipped;
    double user = 0, system = 0, children_user = 0, children_system = 0;
    fields >> user >> system >> children_user >> children_system;
    times.seconds =
        (user + system + children_user + children_system) / static_cast<double>(sysconf(_SC_CLK_TCK));
    return times;
}

[[noreturn]] void become(const std::vector<std::string>& arguments, int output) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(output, STDOUT_FILENO);
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
        argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    execvp(argv[0], argv.data());
    _exit(127);
}

}  // namespace

Child::Child(const std::vector<std::string>& arguments) : name_(arguments.at(0)) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
    pid_ = fork();
    if (pid_ == 0) become(arguments, ends[1]);
    close(ends[1]);
    output_ = ends[0];
    if (pid_ > 0) return;
    close(output_);
    throw std::system_error(errno, std::generic_category(), "fork");
}

Child::~Child() {
    const std::vector<pid_t> all = family();
    kill(pid_, SIGTERM);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    bool ended = false;
    while (!(ended = waitpid(pid_, nullptr, WNOHANG) != 0) && std::chrono::steady_clock::now() < deadline)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (!ended) {
        for (const pid_t pid : all)
            kill(pid, SIGKILL);
        waitpid(pid_, nullptr, 0);
    }
    close(output_);
}

std::string Child::read_line() {
    std::string line;
    for (char byte = 0;; line += byte) {
        pollfd ready{output_, POLLIN, 0};
        if (poll(&ready, 1, 10'000) != 1 || read(output_, &byte, 1) != 1)
            throw std::runtime_error(fmt::format("{} said nothing, or ended", name_));
        if (byte == '\n') return line;
    }
}

void Child::expect_running() {
    siginfo_t info{};
    if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
        return;
    throw std::runtime_error(fmt::format("{} has ended", name_));
}

double Child::cpu_seconds() const {
    double total = 0;
    for (const pid_t pid : family())
        if (const auto times = times_of(std::to_string(pid))) total += times->seconds;
    return total;
}

std::vector<pid_t> Child::family() const {
    std::vector<std::pair<pid_t, pid_t>> parents;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const std::string name = entry.path().filename();
        if (name.find_first_not_of("0123456789") != std::string::npos) continue;
        if (const auto times = times_of(name)) parents.emplace_back(std::stoi(name), times->parent);
    }
    std::vector<pid_t> found = {pid_};
    for (std::size_t i = 0; i < found.size(); ++i)
        for (const auto& [pid, parent] : parents)
            if (parent == found[i]) found.push_back(pid);
    return found;
}

std::string output_of(const std::string& command) {
    FILE* const pipe = popen(command.c_str(), "r");
    if (!pipe) throw std::system_error(errno, std::generic_category(), command);
    std::string output;
    char chunk[4096];
    while (const std::size_t bytes = fread(chunk, 1, sizeof chunk, pipe))
        output.append(chunk, bytes);
    if (pclose(pipe) != 0) throw std::runtime_error(fmt::format("{} failed:\n{}", command, output));
    return output;
}

}  // namespace bench
