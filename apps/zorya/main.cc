#include "cli/run.h"

int main(int argc, char** argv) { return zorya::cli::run(argc, argv); }
