#include "agent/supervisor/privileges.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace signalbox::supervisor {

void set_open_files_limit(std::uint64_t files) {
    if (files == 0) return;
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    const rlim_t hard = limit.rlim_max;
    limit.rlim_cur = files;
    if (files > hard) limit.rlim_max = files;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
        throw std::runtime_error(
            fmt::format("open_files: {} is above the hard limit of {}; raise that (ulimit -Hn, "
                        "LimitNOFILE=) or give less",
                        files, hard));
}

void become(const std::string& user, const std::string& group) {
    if (user.empty() && group.empty()) return;
    if (user.empty())
        throw std::invalid_argument(fmt::format("user_group: '{}' needs a user as well", group));
    const passwd* account = ::getpwnam(user.c_str());
    if (!account) throw std::invalid_argument(fmt::format("user: there is no '{}' on this host", user));
    const uid_t uid = account->pw_uid;
    gid_t gid = account->pw_gid;
    if (!group.empty()) {
        const ::group* entry = ::getgrnam(group.c_str());
        if (!entry)
            throw std::invalid_argument(fmt::format("user_group: there is no '{}' on this host", group));
        gid = entry->gr_gid;
    }
    // After an upgrade this process is the user's from its start.
    if (uid != 0 && ::getuid() == uid && ::geteuid() == uid && ::getgid() == gid && ::getegid() == gid)
        return;
    if (::initgroups(user.c_str(), gid) != 0 || ::setresgid(gid, gid, gid) != 0 ||
        ::setresuid(uid, uid, uid) != 0)
        throw std::system_error(errno, std::generic_category(),
                                fmt::format("user: cannot become '{}'", user));
    if (uid != 0 && ::setuid(0) == 0) throw std::runtime_error("user: root's rights are still there");
    // Or the kernel gives /proc/self to root, where workers count their descriptors.
    ::prctl(PR_SET_DUMPABLE, 1);
}

}  // namespace signalbox::supervisor
