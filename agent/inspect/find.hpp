// Finding a segment: by its path, or by a process of its group.
#pragma once

#include <sys/types.h>

#include <stdexcept>
#include <string>

namespace signalbox::inspect {

/// No segment there. what() names the file or process, what is wrong and the way out.
class NotFound : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// An open file, closed with the object.
class File {
public:
    File(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}
    File(File&& other) noexcept;
    File& operator=(File&&) = delete;
    ~File();

    int descriptor() const { return descriptor_; }
    const std::string& name() const { return name_; }  ///< as errors name it

private:
    int descriptor_;
    std::string name_;
};

/// Opens for reading only. Throws NotFound.
File open_path(const std::string& path);

/// The segment of the group that process `pid` belongs to, also when it is anonymous memory. Needs the right to look
/// into that process: its user, or root. Throws NotFound.
File open_segment_of(pid_t pid);

}  // namespace signalbox::inspect
