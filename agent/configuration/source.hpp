// Where a group's configuration comes from, kept so that the file can be read again while the group runs.
#pragma once

#include <string>

#include "agent/configuration/composed.hpp"

namespace signalbox::configuration {

class Source {
public:
    /// `path`: of the file, absolute; "": there is none. Reads it.
    Source(Code code, std::string path, Layer command_line);

    const Code& code() const { return code_; }
    const std::string& path() const { return path_; }
    /// What was read first, and what the group was made of.
    const Composed& first() const { return first_; }
    /// Reads the file again. What is wrong, with the file itself too, is in the errors.
    Composed read() const;

private:
    Code code_;
    std::string path_;
    Layer command_line_;
    Composed first_;
};

}  // namespace signalbox::configuration
