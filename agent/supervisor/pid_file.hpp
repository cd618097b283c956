// The file that says who the arbiter is, and that no other one is.
//
//     const PidFile pid_file("/run/hello.pid");     // throws if another process has it
#pragma once

#include <sys/types.h>

#include <string>

namespace signalbox::supervisor {

class PidFile {
public:
    /// Creates the file, or takes over what a dead process has left; "" does nothing. Its lock is of the open file: for
    /// children to close. Throws std::system_error, or std::runtime_error ("… belongs to process 4242").
    ///
    /// `inherited`: the predecessor's descriptor of it (closed if it is of another file). The lock is shared then, and
    /// the file is the predecessor's until take_over().
    explicit PidFile(std::string path, int inherited = -1);
    /// The file names this process from now on.
    void take_over();
    /// It is another process' to remove.
    void give_away() { owner_ = 0; }
    /// Empties and removes it, if this is the process that owns it.
    ~PidFile();
    PidFile(const PidFile&) = delete;
    PidFile& operator=(const PidFile&) = delete;

    /// For children to close; -1: none.
    int descriptor() const { return file_; }

private:
    std::string path_;
    pid_t owner_ = 0;
    int file_ = -1;
};

}  // namespace signalbox::supervisor
