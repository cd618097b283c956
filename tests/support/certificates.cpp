#include "certificates.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <QFile>
#include <QProcess>
#include <stdexcept>
#include <string>
#include <vector>

ProgramOutput run_program(const QString& program, const QStringList& arguments, const QByteArray& input) {
    QProcess process;
    process.start(program, arguments);
    process.write(input);
    process.closeWriteChannel();
    ProgramOutput output;
    if (!process.waitForFinished(60'000)) {
        process.kill();
        process.waitForFinished();
    } else if (process.exitStatus() == QProcess::NormalExit) {
        output.status = process.exitCode();
    }
    output.out = process.readAllStandardOutput();
    output.all = output.out + process.readAllStandardError();
    return output;
}

namespace {

/// Not with QProcess: after a fork of Qt's the thread sanitizer does not see any more that the calling thread locks mutexes,
/// and reports races where there are none.
void openssl(const QStringList& arguments) {
    std::vector<std::string> texts{"openssl"};
    for (const QString& argument : arguments)
        texts.push_back(argument.toStdString());
    std::vector<char*> pointers;
    for (std::string& text : texts)
        pointers.push_back(text.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t quiet;
    ::posix_spawn_file_actions_init(&quiet);
    for (const int descriptor : {0, 1, 2})
        ::posix_spawn_file_actions_addopen(&quiet, descriptor, "/dev/null", O_RDWR, 0);
    pid_t child = -1;
    const int error = ::posix_spawnp(&child, "openssl", &quiet, nullptr, pointers.data(), environ);
    ::posix_spawn_file_actions_destroy(&quiet);
    int status = -1;
    if (error == 0) ::waitpid(child, &status, 0);
    if (status != 0) throw std::runtime_error("failed: openssl " + arguments.join(' ').toStdString());
}

const QStringList kNewKey{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"};

}  // namespace

Certificates::Certificates() {
    make_authority("authority");
    make_authority("stranger");
    make("server");
}

void Certificates::make_authority(const QString& name) {
    openssl(QStringList{"req", "-x509", "-days", "2", "-subj", "/CN=" + name, "-keyout",
                        directory_.filePath(name + ".key"), "-out", directory_.filePath(name + ".pem")} +
            kNewKey);
}

void Certificates::make(const QString& name, const Traits& traits) {
    const auto path = [this](const QString& file) { return directory_.filePath(file); };
    QFile extensions(path("extensions"));
    if (!extensions.open(QIODevice::WriteOnly))
        throw std::runtime_error("cannot write certificate extensions");
    extensions.write("subjectAltName=" + traits.alternative_name.toUtf8() + "\n");
    extensions.close();
    openssl(
        QStringList{"req", "-subj", traits.subject.isEmpty() ? "/CN=" + name : traits.subject, "-keyout",
                    path(name + ".key"), "-out", path(name + ".csr")} +
        (traits.rsa_bits.isEmpty() ? kNewKey : QStringList{"-newkey", "rsa:" + traits.rsa_bits, "-nodes"}));
    openssl({"x509", "-req", "-in", path(name + ".csr"), "-CA", path(traits.authority + ".pem"), "-CAkey",
             path(traits.authority + ".key"), "-CAcreateserial", "-days", "2", "-extfile", path("extensions"),
             "-out", path(name + ".pem")});
}

void Certificates::put(const QString& from, const QString& to) {
    const QString fresh = directory_.filePath("fresh");
    QFile::remove(fresh);
    if (!QFile::copy(directory_.filePath(from), fresh) ||
        ::rename(fresh.toUtf8().constData(), directory_.filePath(to).toUtf8().constData()) != 0)
        throw std::runtime_error("cannot replace " + to.toStdString());
}

ProgramOutput curl(const QStringList& arguments) {
    return run_program(
        "curl", QStringList{"--silent", "--show-error", "--max-time", "30", "--noproxy", "*"} + arguments);
}

ProgramOutput s_client(const std::string& address, const QStringList& arguments, const QByteArray& input) {
    return run_program(
        "openssl", QStringList{"s_client", "-connect", QString::fromStdString(address)} + arguments, input);
}
