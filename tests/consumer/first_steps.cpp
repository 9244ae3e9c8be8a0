// What a user would write first: trains a tiny classifier, and asks for a product with its Fisher
// matrix. Ends with 1 if the loss has not fallen, or the matrix is not what it must be.

#include <natgrad/curvatures.h>
#include <natgrad/natgrad.h>
#include <natgrad/operators.h>
#include <torch/torch.h>

#include <cstdio>

namespace F = torch::nn::functional;

int main() {
  torch::manual_seed(0);
  const auto x = torch::randn({60, 2}, torch::kDouble);
  const auto y = x.prod(1).gt(0).to(torch::kLong);  // a quadrant and its opposite
  torch::nn::Sequential model(torch::nn::Linear(2, 8), torch::nn::Tanh(), torch::nn::Linear(8, 2));
  model->to(torch::kDouble);

  natgrad::NaturalGradient optimizer(model->parameters());
  const double start = F::cross_entropy(model->forward(x), y).item<double>();
  for (int k = 0; k < 40; ++k) optimizer.step(F::cross_entropy(model->forward(x), y));
  std::printf("%s\n", optimizer.summary().message().c_str());
  const double end = F::cross_entropy(model->forward(x), y).item<double>();

  // Gauss-Newton is the Fisher matrix under a softmax, and both are positive.
  const natgrad::LossGraph graph(F::cross_entropy(model->forward(x), y), model->parameters());
  const auto v = graph.gradient();
  const auto Gv = natgrad::gauss_newton(graph).multiply(v);
  const auto Fv = natgrad::fisher(graph).multiply(v);
  const bool same = torch::allclose(Gv, Fv) && v.dot(Gv).item<double>() > 0;

  std::printf("loss %.4f -> %.4f, G = F: %s\n", start, end, same ? "yes" : "no");
  return end < 0.5 * start && same ? 0 : 1;
}
