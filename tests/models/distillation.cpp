// A small network learns from labels and from a larger one's softened answers (Hinton et al. 2015).

#include "models/models.h"

namespace zoo {

Model distillation() {
  using namespace torch::nn;
  constexpr double kTemperature = 2, kShare = 0.7;
  const auto x = torch::randn({kExamples, 8});
  const auto taught = x.mm(torch::randn({8, 16})).tanh().mm(torch::randn({16, 5}));
  const auto y = taught.argmax(1);

  Sequential student(Linear(8, 24), ReLU(), Linear(24, 5));

  return {student->parameters(), [=](int64_t batch) mutable {
            const auto logits = student->forward(rows(x, batch));
            const auto soft =
                functional::kl_div(torch::log_softmax(logits / kTemperature, 1),
                                   torch::softmax(rows(taught, batch) / kTemperature, 1),
                                   functional::KLDivFuncOptions().reduction(torch::kBatchMean));
            const auto hard = functional::cross_entropy(logits, rows(y, batch));
            return kShare * kTemperature * kTemperature * soft + (1 - kShare) * hard;
          }};
}

}  // namespace zoo
