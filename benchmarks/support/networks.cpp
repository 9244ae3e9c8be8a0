#include "support/networks.h"

namespace benchmarks {

using namespace torch::nn;

Sequential tanh_network(const std::vector<int64_t>& widths) {
  Sequential network;
  for (size_t l = 0; l + 1 < widths.size(); ++l) {
    if (l > 0) network->push_back(Tanh());
    network->push_back(Linear(widths[l], widths[l + 1]));
  }
  return network;
}

Sequential small_convolutional_network() {
  return Sequential(Conv2d(Conv2dOptions(1, 8, 3).padding(1)), ReLU(), MaxPool2d(2),
                    Conv2d(Conv2dOptions(8, 16, 3).padding(1)), ReLU(), MaxPool2d(2), Flatten(),
                    Linear(64, 10));
}

Sequential strided_convolutional_network() {
  return Sequential(Conv2d(Conv2dOptions(1, 8, 5).stride(2)), Tanh(),
                    Conv2d(Conv2dOptions(8, 16, 5).stride(2)), Tanh(), Flatten(), Linear(256, 10));
}

}  // namespace benchmarks
