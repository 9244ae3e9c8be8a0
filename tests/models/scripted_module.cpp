// A network written in TorchScript: what a graph shows of it changes once it has been optimised.

#include <torch/csrc/jit/api/module.h>

#include <cmath>
#include <string>

#include "models/models.h"

namespace zoo {
namespace {

const char* const kForward = R"JIT(
def forward(self, x):
    h = torch.tanh(torch.addmm(self.b1, x, self.w1))
    h = torch.tanh(torch.addmm(self.b2, h, self.w2))
    return torch.addmm(self.b3, h, self.w3)
)JIT";

}  // namespace

Model scripted_module() {
  const auto x = torch::randn({kExamples, 10});
  const auto y = x.mm(torch::randn({10, 8})).tanh().mm(torch::randn({8, 4})).argmax(1);

  torch::jit::Module net("ScriptedPerceptron");
  const std::vector<int64_t> widths{10, 32, 32, 4};
  for (size_t k = 1; k < widths.size(); ++k) {
    const auto weights = torch::randn({widths[k - 1], widths[k]}) / std::sqrt(widths[k - 1]);
    const auto layer = std::to_string(k);
    net.register_parameter("w" + layer, weights.requires_grad_(), false);
    net.register_parameter("b" + layer, torch::zeros({widths[k]}).requires_grad_(), false);
  }
  net.define(kForward);

  std::vector<Tensor> parameters;
  for (const Tensor& parameter : net.parameters()) parameters.push_back(parameter);
  return {parameters, [=](int64_t batch) mutable {
            const auto logits = net.forward({rows(x, batch)}).toTensor();
            return torch::cross_entropy_loss(logits, rows(y, batch));
          }};
}

}  // namespace zoo
