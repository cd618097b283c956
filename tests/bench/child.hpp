// A server as a child process, with all the processes that it starts: what they cost, and their certain end.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace bench {

class Child {
public:
    /// Starts `arguments[0]`, looked up in PATH. Throws std::system_error. It gets SIGTERM if this program
    /// dies.
    explicit Child(const std::vector<std::string>& arguments);
    /// SIGTERM; what still lives after five seconds is killed with all its descendants.
    ~Child();
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;

    /// The next line of its standard output. Throws std::runtime_error if there is none within ten seconds.
    std::string read_line();
    /// Throws std::runtime_error if it has ended.
    void expect_running();
    /// User and system time of the process and all its descendants, also of those that are gone.
    double cpu_seconds() const;

    /// The process and all its descendants.
    std::vector<pid_t> family() const;

private:
    std::string name_;
    pid_t pid_ = -1;
    int output_ = -1;
};

/// What the shell's `command` prints. Throws std::runtime_error with that when it fails.
std::string output_of(const std::string& command);

}  // namespace bench
