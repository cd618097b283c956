#include "certificates.hpp"

#include <QFile>
#include <QProcess>
#include <stdexcept>

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

void openssl(const QStringList& arguments) {
    const ProgramOutput output = run_program("openssl", arguments);
    if (output.status != 0) throw std::runtime_error("openssl: " + output.all.toStdString());
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
    openssl(QStringList{"req", "-subj", traits.subject.isEmpty() ? "/CN=" + name : traits.subject, "-keyout",
                        path(name + ".key"), "-out", path(name + ".csr")} +
            kNewKey);
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
