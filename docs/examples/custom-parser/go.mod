module example.com/custom-parser

go 1.26.8

require github.com/reasond/reasond v0.0.0

replace github.com/reasond/reasond => ../../..
