#include "gpu/kernel_log.h"

#include <fstream>

#include <gtest/gtest.h>

#include "gpu/testing_driver.h"

namespace okibi::gpu {
namespace {

TEST(XidLine, NamesCardNumberAndProcess) {
  EXPECT_EQ(xidLineFrom("3,812,99,-;NVRM: Xid (PCI:0000:CA:00): 31, pid=4242, name=python3, Ch 10"),
            (XidLine{"0000:ca:00", 31, 4242}));
  EXPECT_EQ(xidLineFrom("NVRM: Xid (PCI:0000:17:00): 79, GPU has fallen off the bus."),
            (XidLine{"0000:17:00", 79, std::nullopt}));
  EXPECT_EQ(xidLineFrom("NVRM: Xid (PCI:0000:17:00): 43, pid='<unknown>', name=<unknown>"),
            (XidLine{"0000:17:00", 43, std::nullopt}));
  // A process may call itself what it likes, but not before its own number.
  EXPECT_EQ(xidLineFrom("NVRM: Xid (PCI:0000:17:00): 13, name=, pid=7"),
            (XidLine{"0000:17:00", 13, std::nullopt}));
  for (const char* other : {"", "NVRM: loading", "NVRM: Xid (PCI:0000:17:00", "usb 1-1: new device",
                            "NVRM: Xid (PCI:0000:17:00): many"}) {
    EXPECT_FALSE(xidLineFrom(other)) << other;
  }
}

TEST(KernelLog, TheNewestLineAboutTheFailureOnce) {
  TestDirectory root;
  const auto file = root.write("kmsg", "NVRM: Xid (PCI:0000:17:00): 31, pid=1, name=old\n");
  auto log = KernelLog::open(file);
  ASSERT_TRUE(log);
  EXPECT_EQ(log->processOf("0000:17:00.0", 31), std::nullopt);  // written before
  std::ofstream(file, std::ios::app) << "NVRM: Xid (PCI:0000:17:00): 31, pid=2, name=a\n"
                                        "something else\n"
                                        "NVRM: Xid (PCI:0000:17:00): 31, pid=3, name=b\n"
                                        "NVRM: Xid (PCI:0000:ca:00): 31, pid=4, name=c\n"
                                        "NVRM: Xid (PCI:0000:17:00): 43, pid=5, name=d\n";
  EXPECT_EQ(log->processOf("0000:17:00.0", 31), 3);
  EXPECT_EQ(log->processOf("0000:17:00.0", 31), 2);
  EXPECT_EQ(log->processOf("0000:17:00.0", 31), std::nullopt);
  EXPECT_EQ(log->processOf("0000:ca:00.0", 31), 4);
}

TEST(KernelLog, WhereItMayNotBeReadThereIsNone) {
  EXPECT_FALSE(KernelLog::open("/nonexistent/kmsg"));
}

}  // namespace
}  // namespace okibi::gpu
