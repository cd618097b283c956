// Where a group's segment lies, so that it outlives the group: a file that no other live group has.
//
//     BlackBox box(options);                                   // /run/signalbox/mailroom.segment, say
//     Telemetry telemetry({.group = options.name, .path = box.path()});
//     box.hold(telemetry.segment().descriptor());
//
// By default GROUP.segment in $XDG_RUNTIME_DIR/signalbox, or for root in /run/signalbox. The one before it is kept as
// GROUP.segment.previous. Every process of a group holds a lock (flock) on its file through the descriptor that it
// inherits; a file that is held is left alone, and the second group takes GROUP-PID.segment, which goes with it when
// it ends in order. Where no file can be, the segment is anonymous memory.
//
// A group that is to take over from the one which has the file makes its own beside it, GROUP.segment.upgrade, and gives it
// the name when it takes over; the old group's becomes GROUP.segment.previous then, while it still writes to it. If it
// fails before, its file stays until the next upgrade.
#pragma once

#include <sys/types.h>

#include <string>

#include "signalbox/group.hpp"

namespace signalbox {

class BlackBox {
public:
    /// Chooses the place and moves away what lies there. Others that choose in the same directory wait until hold(),
    /// or until this object ends.
    ///
    /// `predecessor`: the segment of the group to take over from; -1: none.
    explicit BlackBox(const GroupOptions& options, int predecessor = -1);
    ~BlackBox();
    BlackBox(const BlackBox&) = delete;
    BlackBox& operator=(const BlackBox&) = delete;

    const std::string& path() const { return path_; }  ///< empty: anonymous memory
    const std::string& warning() const {
        return warning_;
    }  ///< why it is not where one would look; "" if it is

    /// The segment has been created there.
    void hold(int segment);
    /// The predecessor's place is this one's. Why it cannot be; "" if it is, or if there is nothing to be done.
    std::string take_over();

private:
    void choose_default(const std::string& group);
    void choose(std::string path);
    bool is_predecessors(const std::string& path) const;
    void lock_directory(const std::string& directory);

    std::string path_;
    std::string promised_;  ///< where it is to be, once the predecessor has handed over
    std::string warning_;
    int predecessor_ = -1;
    int directory_ = -1;  ///< locked while the place is chosen
    pid_t owner_ = 0;     ///< who removes the file in the end; 0: nobody
};

}  // namespace signalbox
