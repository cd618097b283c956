// soak [MINUTES]: see soak.hpp. Exit status 0 if all was as it has to be.
#include <QCoreApplication>
#include <QFileInfo>
#include <iostream>

#include "tests/system/soak.hpp"

int main(int argc, char** argv) {
    QCoreApplication application(argc, argv);
    bool valid = true;
    const double minutes = argc > 1 ? QString(argv[1]).toDouble(&valid) : 10;
    if (argc > 2 || !valid || !(minutes > 0)) {
        std::cerr << "usage: soak [MINUTES]\n";
        return 2;
    }
    qputenv("SIGNALBOX_BIN_DIR", QCoreApplication::applicationDirPath().toLocal8Bit());
    const std::chrono::seconds duration(static_cast<int>(std::max(1.0, minutes * 60)));
    const auto report = signalbox::tests::Soak(duration).run();
    for (const QString& figure : report.figures)
        std::cout << figure.toStdString() << '\n';
    for (const QString& fault : report.faults)
        std::cout << "FAULT: " << fault.toStdString() << '\n';
    return report.faults.isEmpty() ? 0 : 1;
}
