// The fresh process of the tests of checkpoints:
//   train FOLDER FIRST LAST   each case from checkpoint FIRST in FOLDER (from the start if 0) to
//                             checkpoint LAST
//   save PATH                 saves again and again, until it is killed

#include <cstdio>
#include <cstdlib>

#include "optim/resume_cases.h"

namespace {

using namespace natgrad::testing;

std::string file_of(const std::string& folder, const std::string& name, int64_t step) {
  return folder + "/" + name + "_" + std::to_string(step);
}

void train(const std::string& folder, int64_t first, int64_t last) {
  for (const auto& [name, options] : resume_cases()) {
    ResumeRun run(options);
    if (first > 0) {
      torch::rand({17});  // its generator stands elsewhere than where the run was stopped
      natgrad::load_checkpoint(run.model, *run.optimizer, file_of(folder, name, first));
    }
    run.train(first, last);
    natgrad::save_checkpoint(run.model, *run.optimizer, file_of(folder, name, last));
  }
}

/// Of any two parameters of one file the numbers are the same, and are those of its note.
[[noreturn]] void save_on_and_on(const std::string& path) {
  ResumeRun run({});
  for (int64_t k = 0;; ++k) {
    {
      const torch::NoGradGuard no_grad;
      for (auto& p : run.model->parameters()) p.fill_(static_cast<double>(k));
    }
    natgrad::save_checkpoint(run.model, *run.optimizer, path, {{"k", torch::tensor(k)}});
    if (k == 0) {
      std::puts("saving");
      std::fflush(stdout);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  torch::set_num_threads(1);
  const std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "train" && argc == 5) {
    train(argv[2], std::atoll(argv[3]), std::atoll(argv[4]));
    return EXIT_SUCCESS;
  }
  if (mode == "save" && argc == 3) save_on_and_on(argv[2]);
  return EXIT_FAILURE;
}
