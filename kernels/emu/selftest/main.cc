// The emulator's own tests: what it promises the tests of kernels and of the code
// above the driver.
#include <cstdlib>

#include "rig.h"

std::atomic<int> failures;

std::vector<Case>& cases() {
	static std::vector<Case> all;
	return all;
}

int main(int argc, char** argv) {
	std::string self = argv[0];
	size_t slash = self.rfind('/');
	Rig::image() = "emu:" + (slash == std::string::npos ? std::string(".") : self.substr(0, slash)) + "/libkernels_test.so";
	setenv("EMU_DEVICES", "2", 1);
	setenv("EMU_MEM", "16777216", 1);
	unsetenv("EMU_ORDER");
	unsetenv("EMU_FAULT");
	int run = 0;
	for (const Case& c : cases()) {
		if (argc > 1 && !strstr(c.name, argv[1])) continue;
		int before = failures;
		c.run();
		run++;
		if (failures != before) fprintf(stderr, "FAIL %s\n", c.name);
	}
	printf("%d tests, %d checks failed\n", run, failures.load());
	return failures || !run;
}
