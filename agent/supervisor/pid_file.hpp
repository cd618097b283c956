// The file that says who the arbiter is, and that no other one is.
//
//     const PidFile pid_file("/run/hello.pid");     // throws if another process has it
#pragma once

#include <sys/types.h>

#include <string>

namespace signalbox::supervisor {

class PidFile {
public:
    /// Creates the file, or takes over what a dead process has left; "" does nothing. Its lock is this process' alone:
    /// no child keeps it. Throws std::system_error, or std::runtime_error ("… belongs to process 4242").
    explicit PidFile(std::string path);
    /// Empties and removes it, if this is the process that made it.
    ~PidFile();
    PidFile(const PidFile&) = delete;
    PidFile& operator=(const PidFile&) = delete;

    /// For children to close; -1: none.
    int descriptor() const { return file_; }

private:
    std::string path_;
    pid_t owner_;
    int file_ = -1;
};

}  // namespace signalbox::supervisor
