// How this process was started, to start the same again: perhaps with another file at the same path.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace signalbox::supervisor {

struct Program {
    std::string path{};  ///< absolute, but with its symbolic links, so that a new version may be behind it
    std::vector<std::string> arguments{};
    std::vector<std::string> environment{};
    std::string directory{};  ///< the working directory

    /// As it was before anything changed the environment or the directory: call it early. Leaves out of the environment
    /// what is meant for this process only (LISTEN_FDS and the like).
    static Program of_this_process();

    /// Why it cannot be started now: "/opt/hello/bin/hello: No such file or directory"; "" if it looks as if it can.
    std::string obstacle() const;

    /// Replaces the calling process, with `variable` added to the environment. Returns only if it cannot: what is in
    /// the way.
    std::string execute(const std::string& variable) const;
};

}  // namespace signalbox::supervisor
